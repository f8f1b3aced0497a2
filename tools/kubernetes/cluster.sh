#!/usr/bin/env bash
# A real Kubernetes of one node for tests: `up` builds what is missing (ten minutes, once) and starts it, `stop` ends it.
# API server, controller manager, scheduler and kubelet are built from the Go module proxy; etcd, containerd, runc and the
# network plug-ins are Debian's. Everything runs in a network, process and mount namespace of its own, with an own containerd, so
# no other engine of this machine is touched and nothing is left. Needs root and Go. Result: .podium/kubernetes/admin.conf
source "$(dirname "$0")/../lib.sh"
here=$PWD/$state/kubernetes
source tools/kubernetes/names.sh
programs=(kube-apiserver kube-controller-manager kube-scheduler kubelet)

build() {
  local version
  version=$(sed -n 's/^VERSION = "\(.*\)"/v1.\1/p' tools/kubernetes/build.py)
  if [[ $(cat "$here/bin/version" 2>/dev/null) == "$version" ]]; then return; fi
  command -v go >/dev/null || die "Go is needed to build Kubernetes"
  say "building Kubernetes $version (ten minutes, once)"
  mkdir -p "$here/bin"
  python3 tools/kubernetes/build.py "$here/source"
  quietly kubernetes-build env -C "$here/source" CGO_ENABLED=0 nice go build -p 2 -mod=mod -trimpath \
    -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" -o "$here/bin/" "${programs[@]/#/k8s.io/kubernetes/cmd/}"
  echo "$version" >"$here/bin/version"
}

certificates() { # The API server makes its own; service accounts need a key.
  mkdir -p "$here/keys"
  [[ -s $here/keys/accounts.key ]] || openssl genrsa -out "$here/keys/accounts.key" 2048 2>/dev/null
  [[ -s $here/keys/token ]] || head -c 24 /dev/urandom | base64 | tr -dc a-zA-Z0-9 >"$here/keys/token"
  printf '%s,admin,admin,"system:masters"\n' "$(<"$here/keys/token")" >"$here/keys/tokens.csv"
  chmod -R go-rwx "$here/keys"
}

configs() {
  cat >"$here/admin.conf" <<EOF
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://$INSIDE:6443", certificate-authority: "$here/keys/apiserver.crt"}}]
users: [{name: admin, user: {token: "$(<"$here/keys/token")"}}]
contexts: [{name: test, context: {cluster: test, user: admin}}]
current-context: test
EOF
  chmod 600 "$here/admin.conf"
  mkdir -p "$here/cni"
  cat >"$here/cni/10-podium.conflist" <<EOF
{"cniVersion": "0.4.0", "name": "podium", "plugins": [
  {"type": "bridge", "bridge": "pods", "isGateway": true, "ipMasq": false,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$PODS"}]], "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "$here/run/addresses"}}]}
EOF
  cat >"$here/containerd.toml" <<EOF
version = 2
root = "$here/containerd"
state = "$here/run/containerd"
[grpc]
  address = "$here/run/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$here/cni"
EOF
  cat >"$here/kubelet.yaml" <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP
failSwapOn: false
makeIPTablesUtilChains: false
localStorageCapacityIsolation: false
containerRuntimeEndpoint: "unix://$here/run/containerd.sock"
resolvConf: /dev/null
clusterDNS: [$DNS]
syncFrequency: 10s
evictionHard: {imagefs.available: 1%, nodefs.available: 1%, nodefs.inodesFree: 1%}
imageGCHighThresholdPercent: 100
registryPullQPS: 0
serializeImagePulls: false
EOF
}

network() {
  ip netns add "$NETNS"
  ip link add "$LINK" type veth peer name uplink netns "$NETNS"
  ip addr add "$OUTSIDE/30" dev "$LINK"
  ip link set "$LINK" up
  ip -n "$NETNS" addr add "$INSIDE/30" dev uplink
  ip -n "$NETNS" link set uplink up
  ip -n "$NETNS" link set lo up
  ip -n "$NETNS" route add default via "$OUTSIDE"
  ip route add "$PODS" via "$INSIDE"
  ip netns exec "$NETNS" sysctl -qw net.ipv4.ip_forward=1
}

images() { # What pods need is taken from the Docker Engine; without a registry nothing could be pulled.
  local name
  for name in "$@"; do
    docker save "$name" | "${inside[@]}" ctr -a "$here/run/containerd.sock" -n k8s.io images import --all-platforms - >/dev/null
  done
}

ready() {
  local tries=$1 what=$2
  while ((tries-- > 0)); do
    if kubectl_get "$what" 2>/dev/null | grep -q "$3"; then return; fi
    [[ -d /proc/$(<"$here/run/pid") ]] || return 1
    sleep 0.5
  done
  return 1
}

kubectl_get() { curl -fsS --cacert "$here/keys/apiserver.crt" -H "Authorization: Bearer $(<"$here/keys/token")" "https://$INSIDE:6443$1"; }

up() {
  [[ $(id -u) == 0 ]] || die "a cluster for tests needs root"
  running && return
  apt_install kubernetes etcd-server containerd runc containernetworking-plugins curl openssl iproute2 docker.io || die "packages are missing"
  if [[ -d /run/systemd/system ]]; then systemctl disable --now -q etcd 2>/dev/null || true; fi
  build
  stop
  mkdir -p "$here/run" "$state/log/kubernetes"
  certificates
  configs
  network
  say "starting Kubernetes"
  # Not `ip netns exec`, which hides /sys/fs/cgroup.
  setsid nohup nsenter --net="/run/netns/$NETNS" unshare --mount --pid --fork --kill-child --mount-proc --propagation private \
    tools/kubernetes/node.sh "$here" "$PWD/$state/log/kubernetes" >"$state/log/kubernetes/node.log" 2>&1 </dev/null 9>&- &
  echo $! >"$here/run/pid"
  ready 240 /readyz ok || die "the API server does not start: $state/log/kubernetes"
  ready 240 /api/v1/nodes '"KubeletReady"' || die "the node does not get ready: $state/log/kubernetes"
  inside=(nsenter -t "$(pgrep -P "$(<"$here/run/pid")" -f node.sh | head -n 1)" -m -p)
  docker image inspect "$PAUSE" >/dev/null 2>&1 || printf 'FROM %s\nENTRYPOINT ["sleep", "2147483647"]\n' "$(busybox_image)" | docker build -q -t "$PAUSE" - >/dev/null
  images "$PAUSE" "$(busybox_image)"
}

busybox_image() { docker image inspect podium.local/busybox:latest >/dev/null 2>&1 && echo podium.local/busybox:latest || echo busybox:latest; }

running() { [[ -s $here/run/pid && -d /proc/$(<"$here/run/pid") ]] && kubectl_get /readyz >/dev/null 2>&1; }

stop() {
  if [[ -s $here/run/pid ]]; then
    local pid
    pid=$(<"$here/run/pid")
    if grep -qz node.sh "/proc/$pid/cmdline" 2>/dev/null; then
      pkill -KILL -P "$pid" || true # the first process of the namespace: all others go with it
      while [[ -d /proc/$pid ]]; do sleep 0.1; done
    fi
  fi
  ip link del "$LINK" 2>/dev/null || true
  ip netns del "$NETNS" 2>/dev/null || true
  find /sys/fs/cgroup/ -depth -type d -path "*/$CGROUP*" -exec rmdir {} + 2>/dev/null || true
  rm -rf "$here/run" "$here/containerd" "$here/kubelet" "$here/etcd"
}

case ${1:-up} in
  up) with_lock kubernetes up ;;
  stop) stop ;;
  *) die "up or stop" ;;
esac
