package journal

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
)

// A serverLog takes what the JetStream server logs. What it calls a notice is of no interest to anybody but its developers.
type serverLog struct {
	logger  *slog.Logger
	suspect func(error)           // told of every error: it may be one that ends all writes
	fatal   atomic.Pointer[error] // why the server gave up, if it did
}

func (l *serverLog) Debugf(string, ...any) {}
func (l *serverLog) Tracef(string, ...any) {}

func (l *serverLog) Noticef(format string, v ...any) {
	l.logger.Debug("jetstream", "note", fmt.Sprintf(format, v...))
}

func (l *serverLog) Warnf(format string, v ...any) {
	l.logger.Warn("jetstream", "err", fmt.Sprintf(format, v...))
}

func (l *serverLog) Errorf(format string, v ...any) {
	err := fmt.Errorf(format, v...)
	l.logger.Error("jetstream", "err", err)
	l.suspect(err)
}

func (l *serverLog) Fatalf(format string, v ...any) {
	err := fmt.Errorf(format, v...)
	l.logger.Error("jetstream", "err", err)
	l.fatal.CompareAndSwap(nil, &err)
}

// reason is why the server gave up.
func (l *serverLog) reason() error {
	if err := l.fatal.Load(); err != nil {
		return *err
	}
	return errors.New("it does not say why")
}
