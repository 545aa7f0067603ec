// Prints what kube-scheduler takes.
package main

import (
	"k8s.io/kubernetes/cmd/kube-scheduler/app"

	"kgen.test/kubernetes/dump"
)

func main() {
	dump.Print(dump.Facts(app.NewSchedulerCommand().Flags(), nil))
}
