// Package dump prints what a program of Kubernetes takes: flags, feature gates, types. tests/facts/tables.py reads it.
package dump

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/featuregate"
	logsapi "k8s.io/component-base/logs/api/v1"
)

// Gate is a feature gate: its default, and whether another value is refused.
type Gate struct {
	Stage   string   `json:"stage"`
	Default bool     `json:"default"`
	Locked  bool     `json:"locked"`
	Needs   []string `json:"needs,omitempty"`
}

// Facts returns flags with their types, the gates, and more.
func Facts(flags *pflag.FlagSet, more map[string]any) map[string]any {
	types := map[string]string{}
	flags.VisitAll(func(flag *pflag.Flag) { types[flag.Name] = flag.Value.Type() })
	facts := map[string]any{"flags": types, "gates": gates()}
	for name, value := range more {
		facts[name] = value
	}
	return facts
}

func gates() map[string]Gate {
	needs := map[featuregate.Feature][]featuregate.Feature{}
	// v1.33 and older have no dependencies of gates.
	if gate, ok := any(utilfeature.DefaultMutableFeatureGate).(interface {
		Dependencies() map[featuregate.Feature][]featuregate.Feature
	}); ok {
		needs = gate.Dependencies()
	}
	found := map[string]Gate{}
	for name, spec := range utilfeature.DefaultMutableFeatureGate.GetAll() {
		gate := Gate{Stage: string(spec.PreRelease), Default: spec.Default, Locked: spec.LockToDefault}
		for _, other := range needs[name] {
			gate.Needs = append(gate.Needs, string(other))
		}
		found[string(name)] = gate
	}
	return found
}

// Print writes a value as JSON.
func Print(value any) {
	if err := json.NewEncoder(os.Stdout).Encode(value); err != nil {
		panic(err)
	}
}

// Verdicts reads a JSON list of documents, and prints for each why it is refused: null if it is taken.
func Verdicts(refusal func(document []byte) error) {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	var documents []json.RawMessage
	if err := json.Unmarshal(input, &documents); err != nil {
		panic(err)
	}
	verdicts := []*string{}
	for _, document := range documents {
		var verdict *string
		if err := judged(refusal, document); err != nil {
			text := err.Error()
			verdict = &text
		}
		verdicts = append(verdicts, verdict)
	}
	Print(verdicts)
}

// judged also returns a panic as an error: the defaults of the kubelet panic for an unknown gate.
func judged(refusal func(document []byte) error, document []byte) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("panic: %v", reason)
		}
	}()
	return refusal(document)
}

// Types collects the fields of structs, by the names of the structs.
type Types map[string]map[string]string

var leaves = map[reflect.Type]string{
	reflect.TypeOf(metav1.Duration{}):            "duration",
	reflect.TypeOf(metav1.Time{}):                "time",
	reflect.TypeOf(metav1.MicroTime{}):           "time",
	reflect.TypeOf(metav1.FieldsV1{}):            "any",
	reflect.TypeOf(runtime.RawExtension{}):       "any",
	reflect.TypeOf(resource.Quantity{}):          "quantity",
	reflect.TypeOf(resource.QuantityValue{}):     "quantity",
	reflect.TypeOf(intstr.IntOrString{}):         "int-or-string",
	reflect.TypeOf(logsapi.TimeOrMetaDuration{}): "duration-or-int",
	reflect.TypeOf([]byte{}):                     "bytes",
}

// Add returns the notation of a type, and collects the structs in it: *T, []T, {}T, T.
func (types Types) Add(kind reflect.Type) string {
	if name, ok := leaves[kind]; ok {
		return name
	}
	switch kind.Kind() {
	case reflect.Pointer:
		return "*" + types.Add(kind.Elem())
	case reflect.Slice:
		return "[]" + types.Add(kind.Elem())
	case reflect.Map:
		return "{}" + types.Add(kind.Elem())
	case reflect.Struct:
		return types.addStruct(kind)
	case reflect.Int:
		return "int64"
	}
	return kind.Kind().String()
}

func (types Types) addStruct(kind reflect.Type) string {
	name := kind.Name()
	if _, known := types[name]; known {
		return name
	}
	fields := map[string]string{}
	types[name] = fields
	types.addFields(kind, fields)
	return name
}

func (types Types) addFields(kind reflect.Type, fields map[string]string) {
	for index := range kind.NumField() {
		field := kind.Field(index)
		key, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case key == "-":
		case field.Anonymous && (key == "" || strings.Contains(options, "inline")):
			types.addFields(field.Type, fields)
		case key == "":
			panic(fmt.Sprintf("%s.%s has no name in JSON", kind.Name(), field.Name))
		default:
			fields[key] = types.Add(field.Type)
		}
	}
}
