"""One configuration that has something of everything, for tests that change it at random."""

SAMPLE = """\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: reviews, namespace: default}
  spec:
    clusterIP: 10.96.0.1
    selector: {app: reviews}
    ports:
    - {name: http, port: 9080, targetPort: web}
    - {name: tcp-db, port: 5432}
    - {port: 81, name: other}
    - {port: 53, name: dns, protocol: UDP}
- apiVersion: v1
  kind: Service
  metadata: {name: me, namespace: default}
  spec: {clusterIP: None, selector: {app: me}, ports: [{name: grpc, port: 7070}]}
---
apiVersion: v1
kind: Pod
metadata:
  name: reviews-7d8f9-abc
  namespace: default
  labels: {app: reviews, version: v1, pod-template-hash: 7d8f9}
  ownerReferences: [{kind: ReplicaSet, name: reviews-7d8f9, controller: true}]
spec:
  serviceAccountName: reviews
  containers: [{name: app, ports: [{name: web, containerPort: 8080}]}]
status:
  podIP: 10.1.0.1
  podIPs: [{ip: 10.1.0.1}, {ip: "fd00::1"}]
  phase: Running
  conditions: [{type: Ready, status: "True"}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: reviews-1
  namespace: default
  labels: {kubernetes.io/service-name: reviews}
addressType: IPv4
ports: [{name: http, port: 8080}, {name: tcp-db, port: 5432}]
endpoints:
- addresses: [10.1.0.1]
  conditions: {ready: true}
  targetRef: {kind: Pod, name: reviews-7d8f9-abc}
---
apiVersion: v1
kind: Endpoints
metadata: {name: legacy}
subsets:
- addresses: [{ip: 10.2.0.1}]
  notReadyAddresses: [{ip: 10.2.0.2}]
  ports: [{name: http, port: 80}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: me, namespace: default}
spec:
  address: 10.0.0.1
  ports: {grpc: 7071}
  labels: {app: me, version: v1}
  serviceAccount: me
  weight: 5
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default, creationTimestamp: 2024-01-01T00:00:00Z}
spec:
  hosts: [reviews, "*.example.com", bookinfo.org]
  gateways: [mesh, ns/gateway]
  exportTo: ["."]
  http:
  - name: first
    match:
    - name: one
      uri: {prefix: /api}
      method: {exact: GET}
      authority: {regex: ".*"}
      scheme: {exact: http}
      port: 9080
      headers: {x-user: {exact: jason}, x-any: {}}
      withoutHeaders: {x-debug: {prefix: "1"}}
      queryParams: {q: {exact: a}}
      sourceLabels: {app: me}
      sourceNamespace: default
      gateways: [mesh]
      ignoreUriCase: true
    route:
    - destination: {host: reviews, subset: v1, port: {number: 9080}}
      weight: 90
      headers: {request: {set: {x-a: b}}, response: {remove: [x-c]}}
    - destination: {host: reviews, subset: v2}
      weight: 10
    rewrite: {uri: /, authority: reviews.example}
    headers: {request: {add: {x-percent: "100%%"}}, response: {set: {x-d: "%HOSTNAME%"}}}
    timeout: 1.5s
    retries: {attempts: 3, perTryTimeout: 500ms, retryOn: "5xx,connect-failure"}
    fault: {delay: {percentage: {value: 1}, fixedDelay: 1s}, abort: {httpStatus: 503}}
    mirror: {host: reviews}
    mirrorPercentage: {value: 5}
    corsPolicy: {allowOrigins: [{exact: https://a}], allowMethods: [GET], maxAge: 10s}
  - {match: [{uri: {prefix: /team}}], delegate: {name: team, namespace: default}}
  - match: [{uri: {prefix: /regex}}]
    rewrite: {uriRegexRewrite: {match: "^/regex/(.*)", rewrite: '/\\1'}}
    route: [{destination: {host: reviews}}]
  - match: [{uri: {exact: /old}}]
    redirect: {uri: /new, redirectCode: 302, derivePort: FROM_REQUEST_PORT}
  - match: [{uri: {regex: "/teapot.*"}}]
    directResponse: {status: 418, body: {string: short and stout}}
  - route: [{destination: {host: reviews}}]
  tcp:
  - match: [{port: 5432, destinationSubnets: [10.0.0.0/8]}]
    route: [{destination: {host: reviews, port: {number: 5432}}, weight: 100}]
  tls:
  - match: [{sniHosts: [bookinfo.org, "*.example.com"], port: 443, sourceLabels: {app: me}}]
    route: [{destination: {host: reviews, port: {number: 5432}}, weight: 1}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: team, namespace: default}
spec:
  http:
  - match: [{uri: {prefix: /team/a}, headers: {x-a: {exact: b}}}]
    route: [{destination: {host: reviews}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec:
  host: reviews
  trafficPolicy:
    loadBalancer: {simple: RANDOM}
    connectionPool:
      tcp: {connectTimeout: 2s, maxConnections: 10, tcpKeepalive: {time: 60s}}
      http: {idleTimeout: 30s, http1MaxPendingRequests: 5, h2UpgradePolicy: UPGRADE}
    outlierDetection: {consecutive5xxErrors: 5, interval: 10s}
    portLevelSettings: [{port: {number: 81}, loadBalancer: {simple: ROUND_ROBIN}}]
  subsets:
  - {name: v1, labels: {version: v1}}
  - name: v2
    labels: {version: v2}
    trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}, tls: {mode: SIMPLE}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: default}
spec:
  workloadSelector: {labels: {app: me}}
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
  ingress:
  - {port: {number: 7070, protocol: GRPC, name: grpc}, defaultEndpoint: "127.0.0.1:7000"}
  - {port: {number: 7072, protocol: TCP}, captureMode: NONE, defaultEndpoint: "0.0.0.0:7072"}
  egress:
  - {port: {number: 9080, protocol: HTTP}, bind: 127.0.0.1, captureMode: NONE, hosts: ["./*"]}
  - {port: {number: 5432, protocol: TCP}, hosts: ["default/reviews.default.svc.cluster.local"]}
  - {hosts: ["*/*"]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    accessLogFile: /dev/stdout
    accessLogEncoding: JSON
    accessLogFormat: '{"when": "%START_TIME%", "code": "%RESPONSE_CODE%"}'
    connectTimeout: 5s
    outboundTrafficPolicy: {mode: ALLOW_ANY}
    extensionProviders:
    - {name: file, envoyFileAccessLog: {path: /tmp/a, logFormat: {labels: {a: "%PROTOCOL%"}}}}
    - {name: otel, envoyOtelAls: {service: otel}}
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: logs, namespace: istio-system}
spec:
  accessLogging:
  - providers: [{name: envoy}, {name: file}]
    match: {mode: SERVER}
  - disabled: true
    match: {mode: CLIENT}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: default}
spec:
  selector: {matchLabels: {app: me}}
  mtls: {mode: STRICT}
  portLevelMtls: {7070: {mode: PERMISSIVE}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny, namespace: default}
spec:
  action: DENY
  rules:
  - from: [{source: {principals: ["*"], ipBlocks: [10.0.0.0/8]}}]
    to: [{operation: {methods: [GET], paths: ["/a/{*}"], ports: ["80"]}}]
    when: [{key: source.ip, values: [10.0.0.1]}, {key: "request.headers[x]", notValues: [y]}]
---
apiVersion: meshproxy.dev/v1alpha1
kind: Settings
metadata: {name: default, namespace: default}
spec:
  selector: {matchLabels: {app: me}}
  maxRequestHeaders: 50
  bufferBytes: 64Ki
  headerTimeout: 10s
"""

# What else there is: the other shapes of MeshConfig, kinds that nothing is done with, and others'.
MORE = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside, namespace: default}
spec:
  hosts: [api.example.com, "*.example.net"]
  addresses: [192.0.2.1, 198.51.100.0/24]
  ports:
  - {number: 80, name: http, protocol: HTTP, targetPort: 8080}
  location: MESH_EXTERNAL
  resolution: STATIC
  endpoints:
  - {address: 192.0.2.9, ports: {http: 8081}, labels: {version: v1}, weight: 2, locality: a/b/c}
  exportTo: ["."]
  subjectAltNames: [spiffe://cluster.local/ns/x/sa/y]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: by-name, namespace: default}
spec:
  hosts: [db.example.com]
  ports: [{number: 5432, name: db, protocol: TCP}]
  location: MESH_INTERNAL
  resolution: DNS
  workloadSelector: {labels: {app: db}}
---
kind: MeshConfig
trustDomain: mesh.example
defaultServiceExportTo: ["*"]
trustDomain: example.org
trustDomainAliases: [old.example.org]
enableAutoMtls: true
outboundTrafficPolicy: {mode: REGISTRY_ONLY}
defaultConfig:
  discoveryAddress: istiod.istio-system.svc:15012
  fileFlushInterval: 2s
  concurrency: 4
  proxyMetadata: {ISTIO_META_DNS_CAPTURE: "true"}
  tracing: {zipkin: {address: "zipkin:9411"}}
---
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: {name: installed, namespace: istio-system}
spec:
  profile: demo
  meshConfig:
    rootNamespace: istio-config
    defaultProviders: {accessLogging: [envoy]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: secured, namespace: default}
spec:
  host: details
  trafficPolicy:
    tls: {mode: MUTUAL, credentialName: bank, sni: bank.example, subjectAltNames: [bank.example]}
    portLevelSettings:
    - {port: {number: 9080}, tls: {mode: SIMPLE, caCertificates: /ca.pem, caCrl: /ca.crl}}
---
apiVersion: v1
kind: Secret
metadata: {name: bank, namespace: default}
type: kubernetes.io/tls
data: {tls.crt: LS0tLS1CRUdJTiBBLS0tLS0=, tls.key: LS0tLS1CRUdJTiBCLS0tLS0=}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: default}
spec:
  selector: {matchLabels: {app: me}}
  jwtRules: [{issuer: https://issuer.example, jwksUri: https://issuer.example/jwks}]
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: tuned}
spec: {configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec: {parentRefs: [{name: gateway}], rules: [{backendRefs: [{name: shop, port: 80}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec: {replicas: 1}
"""
