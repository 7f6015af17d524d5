//go:build tools

// Package tools pins VictoriaLogs and what it is built with.
package tools

import _ "github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs"
