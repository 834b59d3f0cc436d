//go:build !linux

package lambda

// holdThread does nothing: only Linux looks at threads.
func holdThread() (release func()) { return func() {} }
