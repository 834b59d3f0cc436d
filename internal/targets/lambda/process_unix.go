//go:build unix

package lambda

import (
	"os/exec"
	"syscall"
)

// ownGroup has the process begin a group of its own, so that it can be ended together with whatever it starts.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithServer(cmd.SysProcAttr)
}

// terminateGroup asks all processes of the group to end. One that has ended is not an error.
func terminateGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }

// killGroup ends them. The number of the group stays taken while any of it lives, so that it meets nobody else.
func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
