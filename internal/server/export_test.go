package server

import "github.com/rialto-events/rialto/target"

// Senders is who delivers to which target. Ask before the server runs.
func (s *Server) Senders() func(*target.Definition) target.Sender {
	all := new(senders)
	*all = s.senders(all)
	return all.of
}
