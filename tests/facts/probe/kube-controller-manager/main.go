// Prints what kube-controller-manager takes.
package main

import (
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"

	"kgen.test/kubernetes/dump"
)

func main() {
	more := map[string]any{"controllers": app.KnownControllers(), "controllerAliases": app.ControllerAliases()}
	dump.Print(dump.Facts(app.NewControllerManagerCommand().Flags(), more))
}
