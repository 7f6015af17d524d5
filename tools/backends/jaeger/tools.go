//go:build tools

// Package tools pins Jaeger and what it is built with.
package tools

import _ "github.com/jaegertracing/jaeger/cmd/jaeger"
