// Package test runs the real program on real templates: stories in script/, and
// what a story cannot tell, such as a hundred crashes, in Go.
package test
