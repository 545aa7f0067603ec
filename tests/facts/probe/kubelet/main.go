// Prints what the kubelet takes and the types of static pods and add-ons; with an argument, judges configurations.
package main

import (
	"context"
	"errors"
	"os"
	"reflect"

	"github.com/spf13/pflag"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	cliflag "k8s.io/component-base/cli/flag"
	_ "k8s.io/component-base/logs/json/register"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"
	_ "k8s.io/kubernetes/cmd/kubelet/app" // registers gates
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	"k8s.io/kubernetes/pkg/kubelet/apis/config"
	"k8s.io/kubernetes/pkg/kubelet/apis/config/scheme"
	"k8s.io/kubernetes/pkg/kubelet/apis/config/validation"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	"k8s.io/kubernetes/pkg/kubelet/cm/cpumanager"
	"k8s.io/kubernetes/pkg/kubelet/cm/topologymanager"
	"k8s.io/kubernetes/pkg/kubelet/eviction"
	"k8s.io/kubernetes/pkg/kubelet/kubeletconfig/util/codec"

	"kgen.test/kubernetes/dump"
)

func main() {
	kinds, codecs, err := scheme.NewSchemeAndCodecs()
	if err != nil {
		panic(err)
	}
	if len(os.Args) > 1 {
		dump.Verdicts(func(document []byte) error {
			kubelet, err := decoded(codecs, document)
			if err != nil {
				return err
			}
			if err := validation.ValidateKubeletConfiguration(kubelet, utilfeature.DefaultFeatureGate); err != nil {
				return err
			}
			return startUp(kubelet)
		})
		return
	}
	flags := pflag.NewFlagSet("kubelet", pflag.ExitOnError)
	initial, err := options.NewKubeletConfiguration()
	if err != nil {
		panic(err)
	}
	options.NewKubeletFlags().AddFlags(flags)
	options.AddKubeletConfigFlags(flags, initial)
	options.AddGlobalFlags(flags)
	flags.BoolP("help", "h", false, "")

	defaults := &kubeletv1beta1.KubeletConfiguration{}
	kinds.Default(defaults)
	types := dump.Types{}
	types.Add(reflect.TypeOf(kubeletv1beta1.KubeletConfiguration{}))
	types.Add(reflect.TypeOf(corev1.Pod{}))
	types.Add(reflect.TypeOf(appsv1.Deployment{}))
	types.Add(reflect.TypeOf(appsv1.DaemonSet{}))
	dump.Print(dump.Facts(flags, map[string]any{
		"types":           types,
		"defaults":        defaults,
		"tlsCipherSuites": cliflag.TLSCipherPossibleValues(),
		"tlsVersions":     cliflag.TLSPossibleVersions(),
	}))
}

// decoded returns the configuration that the kubelet reads from a document. v1.33 asks for no context.
func decoded(codecs *serializer.CodecFactory, document []byte) (*config.KubeletConfiguration, error) {
	switch decode := any(codec.DecodeKubeletConfiguration).(type) {
	case func(*serializer.CodecFactory, []byte) (*config.KubeletConfiguration, error):
		return decode(codecs, document)
	case func(context.Context, *serializer.CodecFactory, []byte) (*config.KubeletConfiguration, error):
		return decode(context.Background(), codecs, document)
	}
	panic("DecodeKubeletConfiguration has another type")
}

// startUp returns what the kubelet finds wrong after the validation, as far as it needs no machine.
func startUp(kubelet *config.KubeletConfiguration) error {
	_, thresholds := eviction.ParseThresholdConfig(kubelet.EnforceNodeAllocatable, kubelet.EvictionHard,
		kubelet.EvictionSoft, kubelet.EvictionSoftGracePeriod, kubelet.EvictionMinimumReclaim)
	_, suites := cliflag.TLSCipherSuites(kubelet.TLSCipherSuites)
	_, version := cliflag.TLSVersion(kubelet.TLSMinVersion)
	_, reserved := cm.ParseQOSReserved(kubelet.QOSReserved)
	_, options := cpumanager.NewNonePolicy(kubelet.CPUManagerPolicyOptions)
	if kubelet.CPUManagerPolicy == "static" {
		_, options = cpumanager.NewStaticPolicyOptions(kubelet.CPUManagerPolicyOptions)
	}
	found := []error{thresholds, suites, version, reserved, options}
	for option := range kubelet.TopologyManagerPolicyOptions {
		found = append(found, topologymanager.CheckPolicyOptionAvailable(option))
	}
	return errors.Join(found...)
}
