package gateway

// pageRoutes is the part of the table that browsers see. Forms work without scripts: what they POST is answered by a
// redirect to a page, or by the form with what is wrong in it.
func pageRoutes() []route {
	all := []route{
		{method: "GET", pattern: "/", access: anyone, handler: (*Gateway).feedPage},
		{method: "GET", pattern: "/search", access: anyone, handler: (*Gateway).searchPage},
		{method: "GET", pattern: "/new", access: user, handler: (*Gateway).newPostPage},
		{method: "POST", pattern: "/new", access: user, limit: textLimit, handler: (*Gateway).newPost},
		{method: "GET", pattern: "/posts/{post}", access: anyone, handler: (*Gateway).postPage},
		{method: "GET", pattern: "/posts/{post}/edit", access: user, handler: (*Gateway).editPostPage},
		{method: "POST", pattern: "/posts/{post}/edit", access: user, limit: textLimit, handler: (*Gateway).changePost},
		{method: "GET", pattern: "/posts/{post}/delete", access: user, handler: (*Gateway).deletePostPage},
		{method: "POST", pattern: "/posts/{post}/delete", access: user, limit: textLimit, handler: (*Gateway).removePost},
		{method: "POST", pattern: "/posts/{post}/comments", access: user, limit: textLimit, handler: (*Gateway).newComment},
		{method: "GET", pattern: "/posts/{post}/comments/{comment}/edit", access: user, handler: (*Gateway).editCommentPage},
		{method: "POST", pattern: "/posts/{post}/comments/{comment}/edit", access: user, limit: textLimit, handler: (*Gateway).changeComment},
		{method: "GET", pattern: "/posts/{post}/comments/{comment}/delete", access: user, handler: (*Gateway).deleteCommentPage},
		{method: "POST", pattern: "/posts/{post}/comments/{comment}/delete", access: user, limit: textLimit, handler: (*Gateway).removeComment},

		{method: "GET", pattern: "/login", access: anyone, pre: true, handler: (*Gateway).signInPage},
		{method: "POST", pattern: "/login", access: anyone, pre: true, limit: textLimit, handler: (*Gateway).signInForm},
		{method: "GET", pattern: "/signup", access: anyone, pre: true, handler: (*Gateway).signUpPage},
		{method: "POST", pattern: "/signup", access: anyone, pre: true, limit: textLimit, handler: (*Gateway).signUpForm},
		{method: "POST", pattern: "/logout", access: user, limit: textLimit, handler: (*Gateway).signOutForm},
	}
	for i := range all {
		all[i].page = true
	}
	return all
}
