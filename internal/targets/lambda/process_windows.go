package lambda

import "os/exec"

// Windows has no groups of processes like this: the process alone is ended.
func ownGroup(*exec.Cmd) {}

func terminateGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() } // there is no signal to ask with

func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
