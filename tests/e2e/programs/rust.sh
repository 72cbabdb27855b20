#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A Rust program: threads, channels, collections, panics that unwind.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
need rustc
cat >task.rs <<'END'
use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::sync::{mpsc, Arc, Mutex, RwLock};
use std::time::{Duration, Instant};
use std::{env, fs, panic, process, thread};

fn main() {
    let (tx, rx) = mpsc::channel();
    let total = Arc::new(Mutex::new(0u64));
    let handles: Vec<_> = (0..4u64).map(|n| {
        let (tx, total) = (tx.clone(), Arc::clone(&total));
        thread::spawn(move || {
            for i in 0..1000u64 { *total.lock().unwrap() += i * n; }
            tx.send(n * 10).unwrap();
        })
    }).collect();
    for h in handles { h.join().unwrap(); }
    drop(tx);
    let mut got: Vec<u64> = rx.iter().collect();
    got.sort();
    println!("{:?} {}", got, total.lock().unwrap());
    let mut m: HashMap<String, usize> = HashMap::new();
    for w in "the quick brown fox jumps over the lazy dog the end".split(' ') { *m.entry(w.into()).or_default() += 1; }
    println!("{:?}", m.iter().collect::<BTreeMap<_, _>>());
    panic::set_hook(Box::new(|_| ()));
    println!("{}", panic::catch_unwind(|| { let v: Vec<i32> = vec![]; v[3] }).is_err());
    println!("{}", thread::spawn(|| panic!("no")).join().is_err());
    let path = env::temp_dir().join("rust-test");
    fs::File::create(&path).unwrap().write_all(&vec![7u8; 100_000]).unwrap();
    let mut back = Vec::new();
    fs::File::open(&path).unwrap().read_to_end(&mut back).unwrap();
    fs::remove_file(&path).unwrap();
    println!("{} {}", back.len(), fs::read_dir("/usr/lib/os-release").is_err());
    let start = Instant::now();
    thread::sleep(Duration::from_millis(15));
    println!("{} {}", start.elapsed() >= Duration::from_millis(15), thread::available_parallelism().is_ok());
    let l = RwLock::new(5);
    { *l.write().unwrap() += 1; }
    println!("{} {:?}", l.read().unwrap(), env::args().skip(1).collect::<Vec<_>>());
    process::exit(17);
}
END
compiled task task.rs -- rustc -O -o task task.rs || skip "rustc cannot compile: $(head -1 .compiler)"
same --cpus 2 -- ./task eins 'zwei drei'
finish
