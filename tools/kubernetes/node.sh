#!/usr/bin/env bash
# The first process inside of the test cluster's namespaces: starts all its parts and waits. Its end is theirs.
set -euo pipefail
here=$1 logs=$2
source "$(dirname "$0")/names.sh"
bin=$here/bin

mount -t tmpfs tmpfs /var/lib/cni 2>/dev/null || { mkdir -p /var/lib/cni && mount -t tmpfs tmpfs /var/lib/cni; }
mount -t tmpfs tmpfs /var/log/pods 2>/dev/null || { mkdir -p /var/log/pods && mount -t tmpfs tmpfs /var/log/pods; }
mount --make-rshared /
for controller in /sys/fs/cgroup/*/; do
  mkdir -p "$controller$CGROUP" 2>/dev/null || true
done
for file in cpuset.cpus cpuset.mems; do
  [[ ! -f /sys/fs/cgroup/cpuset/$file ]] || cat "/sys/fs/cgroup/cpuset/$file" >"/sys/fs/cgroup/cpuset/$CGROUP/$file"
done
[[ ! -f /sys/fs/cgroup/cgroup.controllers ]] || mkdir -p "/sys/fs/cgroup/$CGROUP"

part() { # name, command…
  local name=$1
  shift
  "$@" >"$logs/$name.log" 2>&1 &
}

part etcd etcd --data-dir "$here/etcd" --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
  --listen-peer-urls http://127.0.0.1:2380 --unsafe-no-fsync
part containerd containerd --config "$here/containerd.toml"
part kube-apiserver "$bin/kube-apiserver" --etcd-servers http://127.0.0.1:2379 --advertise-address "$INSIDE" --bind-address 0.0.0.0 \
  --secure-port 6443 --cert-dir "$here/keys" --token-auth-file "$here/keys/tokens.csv" --authorization-mode RBAC \
  --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$here/keys/accounts.key" \
  --service-account-signing-key-file "$here/keys/accounts.key" --service-cluster-ip-range 10.213.79.0/24 --kubelet-preferred-address-types InternalIP
part kube-controller-manager "$bin/kube-controller-manager" --kubeconfig "$here/admin.conf" --leader-elect=false \
  --service-account-private-key-file "$here/keys/accounts.key" --use-service-account-credentials=false \
  --controllers job-controller,garbage-collector-controller,pod-garbage-collector-controller,serviceaccount-controller,namespace-controller,ttl-after-finished-controller,root-ca-certificate-publisher-controller,node-lifecycle-controller,taint-eviction-controller,resourcequota-controller
part kube-scheduler "$bin/kube-scheduler" --kubeconfig "$here/admin.conf" --leader-elect=false
until curl -ks "https://$INSIDE:6443/readyz" | grep -q ok; do sleep 0.3; done
part kubelet "$bin/kubelet" --kubeconfig "$here/admin.conf" --config "$here/kubelet.yaml" --root-dir "$here/kubelet" --hostname-override node1 \
  --node-ip "$INSIDE" --cert-dir "$here/keys"
wait -n # a part that ends ends all
