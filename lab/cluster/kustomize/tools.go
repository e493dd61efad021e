//go:build tools

// Package kustomize pins the program that builds overlays in tests: it is built from its module.
package kustomize

import (
	_ "sigs.k8s.io/kustomize/kustomize/v5"
)
