#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# java: a virtual machine with compiler and garbage-collector threads; the class is compiled on the host.
. "$(dirname "$0")/lib.sh"
need java javac

cat >Task.java <<'END'
import java.nio.file.*;
import java.security.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.stream.*;

public class Task {
	static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

	public static void main(String[] args) throws Exception {
		System.out.println("hello " + String.join(",", args) + " fib " + fib(27));
		List<Map<Integer, String>> kept = new ArrayList<>();
		for (int i = 0; i < 300; i++) {
			Map<Integer, String> m = new HashMap<>();
			for (int j = 0; j < 1000; j++)
				m.put(j, "value " + i * j);
			if (i % 50 == 0)
				kept.add(m);
		}
		System.gc();
		System.out.println(kept.size() + " " + kept.get(5).get(999));
		ExecutorService pool = Executors.newFixedThreadPool(4);
		AtomicLong sum = new AtomicLong();
		List<Future<Integer>> futures = new ArrayList<>();
		for (int i = 0; i < 40; i++) {
			final int n = i;
			futures.add(pool.submit(() -> { sum.addAndGet(IntStream.range(0, 1000 * n).mapToLong(x -> x).sum()); return n * n; }));
		}
		int squares = 0;
		for (Future<Integer> f : futures)
			squares += f.get();
		pool.shutdown();
		System.out.println(pool.awaitTermination(20, TimeUnit.SECONDS) + " " + sum + " " + squares);
		byte[] digest = MessageDigest.getInstance("SHA-256").digest("lampo".getBytes("UTF-8"));
		System.out.println(HexFormat.of().formatHex(digest));
		Path f = Files.createTempFile("java", ".txt");
		Files.write(f, IntStream.range(0, 2000).mapToObj(i -> "line " + i).collect(Collectors.toList()));
		System.out.println(Files.lines(f).filter(l -> l.endsWith("7")).count() + " " + Files.size(f));
		Files.delete(f);
		try {
			Object o = null;
			o.hashCode();
		} catch (NullPointerException e) { /* a SIGSEGV that the virtual machine handles */
			System.out.println("caught");
		}
		try {
			deep(0);
		} catch (StackOverflowError e) {
			System.out.println("stack overflow");
		}
		Thread.sleep(20);
		System.out.println(System.getProperty("java.version") + " " + Runtime.getRuntime().maxMemory() / (1 << 20));
		System.exit(11);
	}

	static int deep(int n) { return deep(n + 1) + 1; }
}
END
compiled Task.class Task.java -- javac Task.java || skip "javac cannot compile: $(head -1 .compiler)"
same --memory 1G -- java -Xmx128m -Xshare:auto -XX:+UseSerialGC Task one two
same --memory 1G --cpus 2 -- java -Xmx128m -XX:+UseG1GC -XX:ParallelGCThreads=2 Task
finish
