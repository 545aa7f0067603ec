// Prints what kube-apiserver takes.
package main

import (
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/pkg/kubeapiserver/options"

	"kgen.test/kubernetes/dump"
)

func main() {
	plugins := options.NewAdmissionOptions().GenericAdmission.Plugins.Registered()
	dump.Print(dump.Facts(app.NewAPIServerCommand().Flags(), map[string]any{"admissionPlugins": plugins}))
}
