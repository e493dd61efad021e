//go:build tools

// Package helm pins the program that installs the chart in tests: it is built from its module.
package helm

import (
	_ "helm.sh/helm/v3/cmd/helm"
)
