package logs

// syncFolder does nothing: on Windows names are on the disk when the calls that make them return.
func syncFolder(string) error { return nil }
