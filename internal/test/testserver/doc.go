// Package testserver gives tests the other side of a connection: a real redis-server of their own ([StartRedis]), several
// that Sentinels watch ([StartSentinels]) or that are a Cluster ([StartCluster]), a real PostgreSQL ([StartPostgres],
// [SharedPostgres]) with a standby and a PgBouncer ([StartPgBouncer]), and a TCP proxy that misbehaves on demand ([NewProxy]).
// Only tests import it.
//
// Everything is taken down by the test's Cleanup; nothing outlives the test, not even when the test process is killed
// (on Linux).
package testserver
