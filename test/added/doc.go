// Package added is a program of its own with components of its own: what CONTRIBUTING
// says of adding one, followed to the letter.
package added
