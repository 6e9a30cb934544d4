// Package checks is what the Go checks share: a line for each check, and an end at the first that fails.
package checks

import (
	"fmt"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"time"
)

// Patience is how long to wait for what is going to happen, which otherwise does not happen at all.
const Patience = time.Minute

// DSN is the postgres:// URL of the tenant.
func DSN() string { return os.Getenv("TENANTRY_DSN") }

// Check ends the program when holds panics, after saying what does not hold.
func Check(what string, holds func()) {
	defer func() {
		if reason := recover(); reason != nil {
			fmt.Fprintf(os.Stderr, "%v\n%s\nFAILED: %s\n", reason, debug.Stack(), what)
			os.Exit(1)
		}
	}()
	holds()
	fmt.Println("ok:", what)
}

// Must panics with an error.
func Must(err error) {
	if err != nil {
		panic(err)
	}
}

// Same panics unless these are equal.
func Same(expected, actual interface{}) {
	if !reflect.DeepEqual(expected, actual) {
		panic(fmt.Sprintf("expected <%.300s>, got <%.300s>", fmt.Sprint(expected), fmt.Sprint(actual)))
	}
}

// Eventually waits until holds.
func Eventually(what string, holds func() bool) {
	for deadline := time.Now().Add(Patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			panic("waited in vain until " + what)
		}
	}
}

// AllOf runs work once for each number below count, all at the same time, and panics with what any of them panics with.
func AllOf(count int, work func(number int)) {
	failures := make(chan interface{}, count)
	for number := 0; number < count; number++ {
		go func(number int) {
			defer func() { failures <- recover() }()
			work(number)
		}(number)
	}
	for number := 0; number < count; number++ {
		if failure := <-failures; failure != nil {
			panic(failure)
		}
	}
}

// Start ends the program when it takes too long: a connection that ends beneath us must not hang the test.
func Start(name string) {
	fmt.Println(name, runtime.Version())
	time.AfterFunc(3*Patience, func() {
		fmt.Fprintln(os.Stderr, "FAILED: the checks do not come to their end")
		os.Exit(1)
	})
}
