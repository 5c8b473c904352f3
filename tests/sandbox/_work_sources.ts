/**
 * Programs that real work consists of: they are compiled and run in the sandbox.
 *
 * @module
 */

/** C with POSIX threads. */
export const THREADS_C = `#include <pthread.h>
#include <stdio.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int sum;
static void *work(void *arg) {
  for (int i = 0; i < 1000; i++) {
    pthread_mutex_lock(&lock);
    sum += *(int *)arg;
    pthread_mutex_unlock(&lock);
  }
  return 0;
}
int main(void) {
  pthread_t threads[8];
  int one = 1;
  for (int i = 0; i < 8; i++) if (pthread_create(&threads[i], 0, work, &one)) return 1;
  for (int i = 0; i < 8; i++) pthread_join(threads[i], 0);
  printf("%d\\n", sum);
}
`;

/** C++ with futures and files. */
export const THREADS_CC = `#include <filesystem>
#include <future>
#include <iostream>
#include <numeric>
#include <regex>
#include <thread>
#include <vector>
int main() {
  std::vector<std::future<int>> parts;
  for (int i = 0; i < 8; i++) parts.push_back(std::async(std::launch::async, [i] { return i; }));
  int sum = 0;
  for (auto &part : parts) sum += part.get();
  std::filesystem::create_directories("a/b/c");
  if (!std::regex_match("brokkr", std::regex("b.*r"))) return 1;
  std::cout << sum << std::filesystem::exists("a/b/c") << std::endl;
}
`;

/** Two dozen compilations that do not wait for each other. */
export const MAKEFILE = `OBJECTS = $(patsubst %,part%.o,$(shell seq 24))
all: $(OBJECTS)
	gcc -o all main.c $(OBJECTS)
	./all
part%.c:
	echo "int part$*(void) { return $*; }" > $@
%.o: %.c
	gcc -c -o $@ $<
`;

/** Processes by fork and by spawn, threads, a database. */
export const PYTHON =
  `import multiprocessing, subprocess, concurrent.futures, tempfile, os, sqlite3, ssl, hashlib, threading, mmap
def square(x):
    return x * x
if __name__ == "__main__":
    with multiprocessing.Pool(4) as pool:
        print(sum(pool.map(square, range(100))))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        print(sum(pool.map(square, range(10))))
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        print(sum(threads.map(square, range(10))))
    print(subprocess.run(["sh", "-c", "echo $(( 6 * 7 )); exit 3"], capture_output=True).stdout.decode().strip())
    shared = multiprocessing.Value("i", 0)
    queue = multiprocessing.Queue()
    child = multiprocessing.Process(target=queue.put, args=("from a child",))
    child.start(); print(queue.get()); child.join()
    with tempfile.TemporaryDirectory() as name:
        base = sqlite3.connect(os.path.join(name, "db"))
        base.execute("create table t (x)"); base.execute("insert into t values (5)"); base.commit()
        print(base.execute("select x from t").fetchone()[0])
    print(hashlib.sha256(b"").hexdigest()[:8], threading.active_count(), os.getuid())
`;

/** Worker threads, child processes, files, sockets. */
export const NODE = `const { Worker, isMainThread, parentPort } = require("worker_threads");
const { execFileSync, fork, spawn } = require("child_process");
const fs = require("fs"), net = require("net"), http = require("http"), zlib = require("zlib"), os = require("os");
if (process.argv[2] === "child") { process.send("forked"); process.disconnect(); return; }
if (!isMainThread) { parentPort.postMessage(42); return; }
(async () => {
  console.log(await new Promise((done) => new Worker(__filename).on("message", done)));
  console.log(execFileSync("/bin/echo", ["child"]).toString().trim());
  console.log(await new Promise((done) => fork(__filename, ["child"]).on("message", done)));
  await fs.promises.mkdir("made/deep", { recursive: true });
  await fs.promises.writeFile("made/deep/file", "x".repeat(1 << 20));
  await fs.promises.copyFile("made/deep/file", "copy");
  console.log((await fs.promises.stat("copy")).size, (await fs.promises.readdir("made")).length);
  console.log(zlib.gunzipSync(zlib.gzipSync("packed")).toString());
  const server = http.createServer((_, response) => response.end("served"));
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  console.log(await (await fetch("http://127.0.0.1:" + server.address().port)).text());
  server.closeAllConnections(); server.close();
  const local = net.createServer((socket) => socket.end("local"));
  await new Promise((done) => local.listen("/tmp/socket", done));
  net.connect("/tmp/socket").on("data", (data) => console.log(data.toString())).on("close", () => local.close());
})();
`;

/** Threads, parallel streams, a child process. */
export const JAVA = `import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;
public class Main {
  public static void main(String[] args) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(16);
    List<Future<Integer>> parts = new ArrayList<>();
    for (int i = 0; i < 100; i++) { final int n = i; parts.add(pool.submit(() -> n)); }
    int sum = 0;
    for (Future<Integer> part : parts) sum += part.get();
    pool.shutdown();
    System.out.println(sum);
    System.out.println(IntStream.range(0, 1000).parallel().sum());
    Process child = new ProcessBuilder("/bin/echo", "child").start();
    System.out.println(new String(child.getInputStream().readAllBytes()).trim());
    Path file = Files.createTempFile("brokkr", ".txt");
    Files.writeString(file, "text");
    System.out.println(Files.readString(file) + System.getProperty("user.name"));
    System.gc();
  }
}
`;

/** Goroutines, a child process, a socket. */
export const GO = `package main
import ("fmt"; "net"; "os/exec"; "sync")
func main() {
	var group sync.WaitGroup
	results := make(chan int, 100)
	for i := 0; i < 100; i++ { group.Add(1); go func(n int) { defer group.Done(); results <- n }(i) }
	group.Wait(); close(results)
	sum := 0
	for n := range results { sum += n }
	out, err := exec.Command("/bin/echo", "child").Output()
	if err != nil { panic(err) }
	fmt.Print(sum, " ", string(out))
	listener, err := net.Listen("unix", "/tmp/go.sock")
	if err != nil { panic(err) }
	listener.Close()
}
`;

/** Threads and a child process. */
export const RUST = `use std::process::Command;
use std::thread;
fn main() {
    let parts: Vec<_> = (0..8).map(|n| thread::spawn(move || n)).collect();
    let sum: i32 = parts.into_iter().map(|part| part.join().unwrap()).sum();
    let out = Command::new("/bin/echo").arg("child").output().unwrap();
    print!("{} {}", sum, String::from_utf8(out.stdout).unwrap());
}
`;

/** A library, a program, a test. */
export const CMAKE = `cmake_minimum_required(VERSION 3.10)
project(example C CXX)
find_package(Threads REQUIRED)
add_library(part STATIC part.c)
add_executable(main main.cc)
target_link_libraries(main part Threads::Threads)
enable_testing()
add_test(NAME runs COMMAND main)
`;
