//go:build tools

// Package metallb pins the MetalLB that is replaced and given back on the full cluster.
package metallb

import (
	_ "go.universe.tf/metallb/controller"
	_ "go.universe.tf/metallb/speaker"
)
