package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"

	"ticketing"
	"ticketing/client"
)

// A program signs in, writes a post, and reads the feed until it shows the post.
func Example() {
	ctx := context.Background()
	c, err := client.New("http://127.0.0.1:8080", client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := c.SignIn(ctx, "ann@example.org", os.Getenv("TICKETING_PASSWORD")); err != nil {
		log.Fatal(err)
	}
	post, err := c.CreatePost(ctx, "", "Which bicycle?", "Two weeks, mostly on gravel.")
	if err != nil {
		log.Fatal(err)
	}
	feed, err := c.Feed(ctx, client.Page{Limit: 10, Position: post.Position})
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range feed.Items {
		fmt.Println(p.Title, p.Status)
	}
}

// A server that made its own certificate prints the fingerprint at its first start.
func ExampleNew_fingerprint() {
	c, err := client.New("https://tickets.example.org:8443", client.Options{
		Fingerprint: "5F:2A:0C:91:7E:33:B8:04:D6:1F:AA:5C:09:E2:47:6B:81:FD:3E:70:C4:12:98:5D:BE:06:A7:43:EC:2F:60:1B",
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Ready(context.Background()))
}

// Refusals name the fields that are at fault.
func ExampleError() {
	c, err := client.New("http://127.0.0.1:8080", client.Options{Token: os.Getenv("TICKETING_TOKEN")})
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.CreatePost(context.Background(), "", "", "A body without a title.")
	var e *client.Error
	switch {
	case errors.As(err, &e) && e.Status == http.StatusBadRequest:
		fmt.Println("title:", e.Field("title"))
	case err != nil:
		log.Fatal(err)
	}
}

// A list is read to its end, page after page.
func ExampleClient_Tickets() {
	ctx := context.Background()
	c, err := client.New("http://127.0.0.1:8080", client.Options{Token: os.Getenv("TICKETING_TOKEN")})
	if err != nil {
		log.Fatal(err)
	}
	for page := (client.Page{Limit: 100}); ; {
		list, err := c.Tickets(ctx, client.TicketFilter{State: ticketing.TicketOpen, Oldest: true}, page)
		if err != nil {
			log.Fatal(err)
		}
		for _, t := range list.Items {
			fmt.Println(t.ID, t.Kind, t.Text)
		}
		if page.Cursor = list.Next; page.Cursor == "" {
			return
		}
	}
}

// A stream of events goes on over lost connections.
func ExampleClient_Events() {
	c, err := client.New("http://127.0.0.1:8080", client.Options{Token: os.Getenv("TICKETING_TOKEN")})
	if err != nil {
		log.Fatal(err)
	}
	err = c.Events(context.Background(), ticketing.ID{}, func(e client.Event) error {
		fmt.Println(e.Type, e.ID)
		return nil
	})
	log.Fatal(err)
}
