package lambda

import (
	"runtime"
	"syscall"
)

// endWithServer has the kernel end the process when the server ends, however that ends.
func endWithServer(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }

// holdThread keeps the thread that starts a process until the process has ended: it is the end of this thread that the kernel looks
// at (prctl(2), PR_SET_PDEATHSIG), and Go may end threads at any time.
func holdThread() (release func()) {
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}
