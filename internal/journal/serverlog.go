package journal

import (
	"errors"
	"fmt"
	"log/slog"
)

// A serverLog takes what the JetStream server logs. What it calls a notice is of no interest to anybody but its developers.
type serverLog struct {
	logger  *slog.Logger
	suspect func(error) // told of every error: it may be one that ends all writes
}

func (l *serverLog) Noticef(format string, v ...any) {
	l.logger.Debug("jetstream", "msg", fmt.Sprintf(format, v...))
}
func (l *serverLog) Debugf(string, ...any) {}
func (l *serverLog) Tracef(string, ...any) {}
func (l *serverLog) Warnf(format string, v ...any) {
	l.logger.Warn("jetstream", "err", fmt.Sprintf(format, v...))
}

func (l *serverLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.logger.Error("jetstream", "err", text)
	l.suspect(errors.New(text))
}

func (l *serverLog) Fatalf(format string, v ...any) { l.Errorf(format, v...) }
