package journal

// SetReserve changes how much of the volume stays free. Nothing may be written before.
func SetReserve(j Journal, bytes int64) { j.(*embedded).folder.reserve = bytes }

// Stall tells an embedded journal that an acknowledgement has not come in time, as if its server hung.
func Stall(j Journal) { j.(*embedded).alarm(errNoAck) }
