#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Static programs of glibc's, C and C++ with exceptions; and Debian's busybox.
. "$(dirname "$0")/lib.sh"
need gcc g++
cat >task.cc <<'END'
#include <algorithm>
#include <fstream>
#include <future>
#include <iostream>
#include <map>
#include <regex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>
int deep(int n) { if (n == 0) throw std::runtime_error("from the deep"); return deep(n - 1) + 1; }
int main(int argc, char **argv)
{
	std::map<std::string, long> m;
	std::vector<std::future<long>> f;
	for (int i = 0; i < 6; i++)
		f.push_back(std::async(std::launch::async, [i] { long s = 0; for (int j = 0; j < 100000; j++) s += j % (i + 2); return s; }));
	for (auto &x : f)
		std::cout << x.get() << " ";
	try { deep(100); } catch (const std::exception &e) { std::cout << e.what() << "\n"; }
	for (int i = 0; i < 5000; i++)
		m["key" + std::to_string(i % 37)] += i;
	for (auto &[k, v] : m)
		std::cout << k << v << ",";
	std::cout << std::regex_replace(std::string("a1b22"), std::regex("[0-9]+"), "#") << std::endl;
	std::ifstream in(argv[1]);
	std::string line;
	long bytes = 0;
	while (std::getline(in, line))
		bytes += line.size();
	std::cout << bytes << std::endl;
	return argc;
}
END
for kind in -static -static-pie ''; do
	# shellcheck disable=SC2086
	compiled task task.cc -- g++ -std=c++17 -O1 $kind -pthread -o task task.cc || { fail "cannot compile $kind"; continue; }
	same --cpus 2 -- ./task task.cc
done
if command -v busybox >/dev/null; then
	same -- busybox sha256sum task.cc
	same -- busybox ls -la /usr/lib/os-release
	same -- busybox awk 'END { print NR }' task.cc
	same -- busybox sh -c 'i=0; while [ $i -lt 1000 ]; do i=$((i + 1)); done; echo $i; exit 5'
	same -- busybox find /usr/share/doc/base-files -type f
fi
finish
