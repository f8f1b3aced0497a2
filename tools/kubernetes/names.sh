# Names and addresses of the cluster for tests.
NETNS=podium-kube
LINK=podium-kube0
OUTSIDE=10.213.77.1
INSIDE=10.213.77.2
PODS=10.213.78.0/24
CGROUP=podium-kube
PAUSE=podium.local/pause:latest
DNS=10.213.79.10 # nobody is there: Pods find everything by address
