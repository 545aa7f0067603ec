// Prints what kube-proxy takes; with an argument, judges configurations.
package main

import (
	"os"
	"reflect"

	"k8s.io/apimachinery/pkg/runtime"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	_ "k8s.io/component-base/logs/json/register"
	"k8s.io/kube-proxy/config/v1alpha1"
	"k8s.io/kubernetes/cmd/kube-proxy/app"
	"k8s.io/kubernetes/pkg/proxy/apis/config"
	"k8s.io/kubernetes/pkg/proxy/apis/config/scheme"
	"k8s.io/kubernetes/pkg/proxy/apis/config/validation"

	"kgen.test/kubernetes/dump"
)

func main() {
	if len(os.Args) > 1 {
		dump.Verdicts(refusal)
		return
	}
	defaults := &v1alpha1.KubeProxyConfiguration{}
	scheme.Scheme.Default(defaults)
	types := dump.Types{}
	types.Add(reflect.TypeOf(v1alpha1.KubeProxyConfiguration{}))
	dump.Print(dump.Facts(app.NewProxyCommand().Flags(), map[string]any{"types": types, "defaults": defaults}))
}

// initial has the gates without those of any configuration.
var initial = utilfeature.DefaultMutableFeatureGate

func refusal(document []byte) error {
	decoded, _, err := scheme.Codecs.UniversalDecoder().Decode(document, nil, nil)
	if err != nil && !runtime.IsStrictDecodingError(err) {
		return err
	}
	proxy := decoded.(*config.KubeProxyConfiguration)
	// What Options.Complete does: defaults of Linux, and the gates.
	if proxy.Mode == "" {
		proxy.Mode = config.ProxyModeIPTables
	}
	if proxy.DetectLocalMode == "" {
		proxy.DetectLocalMode = config.LocalModeClusterCIDR
	}
	gates := initial.DeepCopy()
	utilfeature.DefaultFeatureGate, utilfeature.DefaultMutableFeatureGate = gates, gates
	if err := gates.SetFromMap(proxy.FeatureGates); err != nil {
		return err
	}
	if errors := validation.Validate(proxy); len(errors) > 0 {
		return errors.ToAggregate()
	}
	return nil
}
