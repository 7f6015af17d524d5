//go:build tools

// Package tools pins VictoriaMetrics and what it is built with.
package tools

import _ "github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics"
