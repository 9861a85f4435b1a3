// Asks istiod's own code where calls go that a sidecar captures.
//
// Reads cases as JSON from standard input, writes an answer for each, as a line of JSON, to the file
// that JUDGE_ANSWERS names. Nothing listens and nothing is sent: a discovery server in memory makes
// listeners, routes and clusters, and Istio's simulation follows a call through them. It is a test
// only because what it uses wants a *testing.T.
package judge

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/simulation"
	"istio.io/istio/pilot/pkg/xds/endpoints"
	fake "istio.io/istio/pilot/test/xds"
	"istio.io/istio/pilot/test/xdstest"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/test"
)

type Case struct {
	Istio, Kubernetes, Mesh string
	Name, Namespace, IP     string
	Labels                  map[string]string
	Calls                   []Call
}

type Call struct {
	Port                                          int
	Address, Host, Path, Protocol, Mode, TLS, SNI string
}

// Answer to a case. Endpoints are those of each cluster, as ADDRESS:PORT xWEIGHT.
type Answer struct {
	Refused   string
	Outcomes  []Outcome
	Endpoints map[string][]string
}

// Outcome of a call. Clusters are those it may go to, with their weights.
type Outcome struct {
	Error, RouteConfig, VirtualHost string
	Clusters                        map[string]uint32
}

func TestJudge(t *testing.T) {
	answers, err := os.Create(os.Getenv("JUDGE_ANSWERS"))
	if err != nil {
		t.Fatal(err)
	}
	defer answers.Close()
	cases, lines := json.NewDecoder(os.Stdin), json.NewEncoder(answers)
	for cases.More() {
		var c Case
		if err := cases.Decode(&c); err != nil {
			t.Fatal(err)
		}
		if err := lines.Encode(judge(t, c)); err != nil {
			t.Fatal(err)
		}
	}
}

func judge(t *testing.T, c Case) (answer Answer) {
	meshConfig, err := mesh.ApplyMeshConfig(c.Mesh, mesh.DefaultMeshConfig())
	if err != nil {
		return Answer{Refused: err.Error()}
	}
	configs, _, err := crd.ParseInputs(c.Istio)
	if err != nil {
		return Answer{Refused: err.Error()}
	}
	for i := range configs {
		configs[i].Domain = "cluster.local" // what short names are completed with
	}
	err = test.Wrap(func(f test.Failer) {
		server := fake.NewFakeDiscoveryServer(f, fake.FakeOptions{
			Configs: configs, KubernetesObjectString: c.Kubernetes, MeshConfig: meshConfig,
		})
		proxy := server.SetupProxy(&model.Proxy{
			Type: model.SidecarProxy, ID: c.Name + "." + c.Namespace, ConfigNamespace: c.Namespace,
			IPAddresses: []string{c.IP}, Labels: c.Labels,
			Metadata: &model.NodeMetadata{Namespace: c.Namespace, Labels: c.Labels},
		})
		sim := simulation.NewSimulation(t, server, proxy)
		for _, call := range c.Calls {
			answer.Outcomes = append(answer.Outcomes, follow(t, sim, call))
		}
		answer.Endpoints = map[string][]string{}
		for _, cluster := range sim.Clusters {
			assignment := cluster.GetLoadAssignment()
			if cluster.GetEdsClusterConfig() != nil {
				builder := endpoints.NewEndpointBuilder(cluster.Name, proxy, server.PushContext())
				assignment = builder.BuildClusterLoadAssignment(server.Discovery.Env.EndpointIndex)
			}
			answer.Endpoints[cluster.Name] = healthy(assignment)
		}
	})
	if err != nil {
		return Answer{Refused: err.Error()}
	}
	return answer
}

func healthy(assignment *endpoint.ClusterLoadAssignment) []string {
	found := []string{}
	for _, locality := range assignment.GetEndpoints() {
		for _, each := range locality.LbEndpoints {
			if each.HealthStatus.String() != "UNHEALTHY" {
				address := each.GetEndpoint().GetAddress().GetSocketAddress()
				weight := each.GetLoadBalancingWeight().GetValue()
				found = append(found, fmt.Sprintf("%s:%d x%d", address.GetAddress(), address.GetPortValue(), weight))
			}
		}
	}
	return found
}

// The simulation names no clusters where there are several, so these are looked up.
func follow(t *testing.T, sim *simulation.Simulation, call Call) Outcome {
	var chain *listener.FilterChain
	result := sim.Run(simulation.Call{
		Address: call.Address, Port: call.Port, Path: call.Path, HostHeader: call.Host, Sni: call.SNI,
		Protocol: simulation.Protocol(call.Protocol), TLS: simulation.TLSMode(call.TLS),
		CallMode: simulation.CallMode(call.Mode),
		CustomListenerValidations: []simulation.CustomFilterChainValidation{
			func(matched *listener.FilterChain) error { chain = matched; return nil },
		},
	})
	outcome := Outcome{
		RouteConfig: result.RouteConfigMatched, VirtualHost: result.VirtualHostMatched,
		Clusters: map[string]uint32{},
	}
	switch {
	case result.Error != nil:
		outcome.Error = result.Error.Error()
	case result.ClusterMatched != "":
		outcome.Clusters[result.ClusterMatched] = 1
	case result.RouteConfigMatched != "":
		config := xdstest.ExtractRouteConfigurations(sim.Routes)[result.RouteConfigMatched]
		for _, arm := range action(config, result.VirtualHostMatched, call.Path).GetWeightedClusters().GetClusters() {
			outcome.Clusters[arm.Name] += arm.Weight.GetValue()
		}
	default:
		for _, arm := range xdstest.ExtractTCPProxy(t, chain).GetWeightedClusters().GetClusters() {
			outcome.Clusters[arm.Name] += arm.Weight
		}
	}
	return outcome
}

// The routes here are matched by prefix alone.
func action(config *route.RouteConfiguration, host, path string) *route.RouteAction {
	for _, each := range config.GetVirtualHosts() {
		for _, found := range each.Routes {
			prefix := found.Match.GetPrefix()
			if each.Name == host && len(path) >= len(prefix) && path[:len(prefix)] == prefix {
				return found.GetRoute()
			}
		}
	}
	return nil
}
