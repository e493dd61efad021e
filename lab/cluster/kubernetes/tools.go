//go:build tools

// Package kubernetes pins what the test cluster runs: the servers are built from their modules.
package kubernetes

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
)
