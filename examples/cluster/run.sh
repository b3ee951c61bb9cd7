#!/usr/bin/env bash
# Runs a cluster of three nodes on this machine until it is interrupted. What it makes is below data/cluster; the same data are used again
# the next time. make cluster builds the program and calls this.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

ticketing=./bin/ticketing
data=data/cluster
keys=$data/keys # the authority, and a config with a certificate for every node; on real machines the authority is on none of them
nodes=(n1 n2 n3)
http=(127.0.0.1:8081 127.0.0.1:8082 127.0.0.1:8083)
pids=("" "" "")
export TICKETING_OPERATOR_EMAIL=${TICKETING_OPERATOR_EMAIL:-operator@example.org}
export TICKETING_OPERATOR_PASSWORD=${TICKETING_OPERATOR_PASSWORD:-correct-horse-battery}

# init makes the cluster and the configs of its nodes. Those that are there stay as they are.
init() {
	[[ -e $keys/n1.yaml ]] || $ticketing cluster init --dir $keys --config examples/cluster/n1.yaml >/dev/null
	for node in n2 n3; do
		[[ -e $keys/$node.yaml ]] || $ticketing cluster add $node --dir $keys --config examples/cluster/$node.yaml --out $keys/$node.yaml
	done
}

# prefix copies lines and puts a node's name in front. It goes on until the node closes its log, also while everything is interrupted.
prefix() {
	local line
	trap '' INT TERM
	while IFS= read -r line; do printf '%s | %s\n' "$1" "$line"; done
}

# start serves the node with an index. It gets a process group of its own, so that Ctrl-C reaches this script and not the node.
start() {
	set -m
	$ticketing serve --config "$keys/${nodes[$1]}.yaml" > >(prefix "${nodes[$1]}") 2>&1 &
	pids[$1]=$!
	set +m
}

# runs says whether the node with an index still does.
runs() { [[ -n ${pids[$1]} ]] && kill -0 "${pids[$1]}" 2>/dev/null; }

# ready waits until the node with an index can serve. That it has ended is a failure, whoever answers in its place.
ready() {
	until curl -fs -o /dev/null --max-time 2 "http://${http[$1]}/readyz" || ! runs "$1"; do sleep 0.2; done
	runs "$1" || { echo "${nodes[$1]} has ended before it was ready; the lines above say why" >&2; return 1; }
}

# stop ends the nodes that this script started, and waits for them.
stop() {
	trap '' INT TERM HUP
	trap - EXIT
	local pid
	for pid in "${pids[@]}"; do [[ -z $pid ]] || kill -TERM "$pid" 2>/dev/null || true; done
	for pid in "${pids[@]}"; do [[ -z $pid ]] || wait "$pid" 2>/dev/null || true; done
}
trap stop EXIT
trap 'exit 0' INT TERM HUP

init
for i in "${!nodes[@]}"; do start "$i"; done
for i in "${!nodes[@]}"; do ready "$i"; done
echo "all nodes answer; every shard gets its replicas"
export TICKETING_URL=http://${http[0]} TICKETING_PASSWORD=$TICKETING_OPERATOR_PASSWORD
status=$($ticketing cluster status --email "$TICKETING_OPERATOR_EMAIL" --wait --timeout 5m 2>&1) || { echo "$status" >&2; exit 1; }

cat <<END

A cluster of three nodes runs. Each of them serves everything:
    http://${http[0]}   http://${http[1]}   http://${http[2]}
    sign in as $TICKETING_OPERATOR_EMAIL with the password $TICKETING_OPERATOR_PASSWORD
END
for i in "${!nodes[@]}"; do
	echo "    ${nodes[$i]} is process ${pids[$i]}; once it has ended, start it with: $ticketing serve --config $keys/${nodes[$i]}.yaml"
done
cat <<END
A fourth node, in another terminal:
    $ticketing cluster add n4 --dir $keys --advertise 127.0.0.1:7004 --http 127.0.0.1:8084 --dev --data $data/n4 --out $keys/n4.yaml && $ticketing serve --config $keys/n4.yaml
How the cluster is:
    TICKETING_PASSWORD=$TICKETING_OPERATOR_PASSWORD $ticketing cluster status --url http://${http[0]} --email $TICKETING_OPERATOR_EMAIL
Ctrl-C stops the three.

END

# From here on nodes may be killed and started elsewhere.
while :; do
	left=0
	for i in "${!nodes[@]}"; do
		if runs "$i"; then
			left=$((left + 1))
		elif [[ -n ${pids[$i]} ]]; then
			wait "${pids[$i]}" 2>/dev/null || true
			pids[$i]=
			echo "${nodes[$i]} has ended; start it again, in another terminal, with: $ticketing serve --config $keys/${nodes[$i]}.yaml"
		fi
	done
	((left > 0)) || { echo "all three have ended"; exit 0; }
	sleep 0.5
done
