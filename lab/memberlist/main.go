// Command memberlist is a member of a gossip cluster for the lab: the real library with what
// MetalLB's speaker sets, saying on standard output what it sees. SIGTERM makes it leave.
//
// Output, one line each: "ready", "join NAME", "leave NAME", "update NAME", "joined",
// "unhealthy N" when the library blames itself, "left".
package main

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

type events struct{}

func (events) NotifyJoin(n *memberlist.Node)   { fmt.Println("join", n.Name) }
func (events) NotifyUpdate(n *memberlist.Node) { fmt.Println("update", n.Name) }
func (events) NotifyLeave(n *memberlist.Node)  { fmt.Println("leave", n.Name) }

// delegate hands out meta data and a user state.
type delegate struct{ meta, state []byte }

func (d delegate) NodeMeta(limit int) []byte {
	if len(d.meta) > limit {
		return d.meta[:limit]
	}
	return d.meta
}
func (delegate) NotifyMsg(m []byte)                         { fmt.Printf("user %q\n", m) }
func (delegate) GetBroadcasts(overhead, limit int) [][]byte { return nil }
func (d delegate) LocalState(join bool) []byte              { return d.state }
func (delegate) MergeRemoteState(b []byte, join bool)       {}

func main() {
	name := flag.String("name", "", "name of the member")
	bind := flag.String("bind", "", "address")
	port := flag.Int("port", 7946, "port")
	secret := flag.String("secret", "", "secret, made a key as MetalLB does")
	label := flag.String("label", "", "label")
	compression := flag.Bool("compression", true, "compress")
	meta := flag.String("meta", "", "meta data")
	join := flag.String("join", "", "addresses to join, separated by commas")
	verbose := flag.Bool("verbose", false, "write the library's log to standard error")
	flag.Parse()

	c := memberlist.DefaultLANConfig()
	c.Name, c.BindAddr, c.BindPort, c.AdvertisePort = *name, *bind, *port, *port
	c.Label, c.EnableCompression = *label, *compression
	c.Events = events{}
	if *meta != "" {
		c.Delegate = delegate{meta: []byte(*meta), state: []byte("state of " + *name)}
	}
	if *secret != "" {
		// The hash of nothing behind the text, cut to the size of a key.
		c.SecretKey = sha256.New().Sum([]byte(*secret))[:32]
	}
	out := io.Discard
	if *verbose {
		out = os.Stderr
	}
	c.Logger = log.New(out, "", log.Lmicroseconds)
	m, err := memberlist.Create(c)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("ready")
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	waiting := *join != ""
	health := 0
	for {
		if waiting {
			if _, err := m.Join(strings.Split(*join, ",")); err == nil {
				waiting = false
				fmt.Println("joined")
			}
		}
		if now := m.GetHealthScore(); now != health {
			health = now
			fmt.Println("unhealthy", health)
		}
		select {
		case <-stop:
			if err := m.Leave(5 * time.Second); err != nil {
				fmt.Println("error", err)
			}
			fmt.Println("left")
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}
