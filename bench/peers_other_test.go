//go:build !unix

package bench

import "testing"

func startPostgres(tb testing.TB, _ int) waitingLine { return leftOut(tb, "PostgreSQL") }
func startRedis(tb testing.TB, _ int) waitingLine    { return leftOut(tb, "Redis") }
func startRabbit(tb testing.TB, _ int) waitingLine   { return leftOut(tb, "RabbitMQ") }

func leftOut(tb testing.TB, system string) waitingLine {
	tb.Logf("%s is left out: it is measured on Unix alone", system)
	return nil
}
