package gateway

// formOverhead is what a form adds to the file that it uploads.
const formOverhead = 8 << 10

// pageRoutes is the part of the table that browsers see. Forms work without scripts: what they POST is answered by a
// redirect to a page, or by the form with what is wrong in it.
func pageRoutes(moduleSize int) []route {
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
		{method: "POST", pattern: "/login", access: anyone, pre: true, class: auth, limit: textLimit, handler: (*Gateway).signInForm},
		{method: "GET", pattern: "/signup", access: anyone, pre: true, handler: (*Gateway).signUpPage},
		{method: "POST", pattern: "/signup", access: anyone, pre: true, class: signUps, limit: textLimit, handler: (*Gateway).signUpForm},
		{method: "GET", pattern: "/reset", access: anyone, pre: true, handler: (*Gateway).resetPage},
		{method: "POST", pattern: "/reset", access: anyone, pre: true, class: resets, limit: textLimit, handler: (*Gateway).resetForm},
		{method: "GET", pattern: "/verify", access: anyone, pre: true, handler: (*Gateway).verifyPage},
		{method: "POST", pattern: "/verify", access: anyone, pre: true, class: auth, limit: textLimit, handler: (*Gateway).verifyForm},
		{method: "GET", pattern: "/setup", access: anyone, pre: true, handler: (*Gateway).setupPage},
		{method: "POST", pattern: "/setup", access: anyone, pre: true, class: auth, limit: textLimit, handler: (*Gateway).setupForm},
		{method: "POST", pattern: "/logout", access: user, limit: textLimit, handler: (*Gateway).signOutForm},

		{method: "GET", pattern: "/account", access: user, handler: (*Gateway).accountPage},
		{method: "POST", pattern: "/account/name", access: user, limit: textLimit, handler: (*Gateway).nameForm},
		{method: "POST", pattern: "/account/password", access: user, class: auth, limit: textLimit, handler: (*Gateway).passwordForm},
		{method: "POST", pattern: "/account/verify", access: user, class: resets, limit: textLimit, handler: (*Gateway).sendLinkForm},
		{method: "POST", pattern: "/account/sessions", access: user, limit: textLimit, handler: (*Gateway).endSessionForm},
		{method: "POST", pattern: "/account/remove", access: user, class: auth, limit: textLimit, handler: (*Gateway).removeAccountForm},
		{method: "GET", pattern: "/dashboard", access: user, handler: (*Gateway).dashboardPage},
		{method: "GET", pattern: "/dashboard/posts", access: user, handler: (*Gateway).ownPostsPage},
		{method: "GET", pattern: "/dashboard/comments", access: user, handler: (*Gateway).ownCommentsPage},
		{method: "GET", pattern: "/dashboard/notices", access: user, handler: (*Gateway).noticesPage},
		{method: "POST", pattern: "/dashboard/notices", access: user, limit: textLimit, handler: (*Gateway).readNoticesForm},

		{method: "GET", pattern: "/report", access: user, handler: (*Gateway).reportPage},
		{method: "POST", pattern: "/report", access: user, limit: textLimit, handler: (*Gateway).reportForm},
		{method: "GET", pattern: "/appeal", access: user, handler: (*Gateway).appealPage},
		{method: "POST", pattern: "/appeal", access: user, limit: textLimit, handler: (*Gateway).appealForm},
		{method: "GET", pattern: "/ask", access: user, handler: (*Gateway).supportPage},
		{method: "POST", pattern: "/ask", access: user, limit: textLimit, handler: (*Gateway).supportForm},
		{method: "GET", pattern: "/tickets", access: user, handler: (*Gateway).ticketsPage},
		{method: "GET", pattern: "/tickets/{id}", access: user, handler: (*Gateway).ticketPage},
		{method: "POST", pattern: "/tickets/{id}/messages", access: user, limit: textLimit, handler: (*Gateway).messageForm},

		{method: "GET", pattern: "/queue", access: moderator, handler: (*Gateway).queuePage},
		{method: "GET", pattern: "/queue/next", access: moderator, handler: (*Gateway).nextTicket},
		{method: "GET", pattern: "/queue/{id}", access: moderator, handler: (*Gateway).reviewPage},
		{method: "POST", pattern: "/queue/{id}/claim", access: moderator, limit: textLimit, handler: (*Gateway).claimForm},
		{method: "POST", pattern: "/queue/{id}/release", access: moderator, limit: textLimit, handler: (*Gateway).releaseForm},
		{method: "POST", pattern: "/queue/{id}/decide", access: moderator, limit: textLimit, handler: (*Gateway).decideForm},
		{method: "POST", pattern: "/queue/{id}/escalate", access: moderator, limit: textLimit, handler: (*Gateway).escalateForm},
		{method: "POST", pattern: "/queue/{id}/notes", access: moderator, limit: textLimit, handler: (*Gateway).noteForm},

		{method: "GET", pattern: "/plugins", access: operator, handler: (*Gateway).pluginsPage},
		{method: "POST", pattern: "/plugins", access: operator, proven: true, class: uploads, limit: moduleSize + moduleExcess + formOverhead, handler: (*Gateway).uploadForm, timeout: importExpiry},
		{method: "GET", pattern: "/plugins/{name}", access: operator, handler: (*Gateway).pluginPage},
		{method: "POST", pattern: "/plugins/{name}/rule", access: operator, proven: true, limit: ruleLimit, handler: (*Gateway).activateForm, timeout: importExpiry},
		{method: "GET", pattern: "/plugins/{name}/agreement", access: operator, handler: (*Gateway).agreementPage},
		{method: "GET", pattern: "/plugins/{name}/cost", access: operator, handler: (*Gateway).costPage},
		{method: "GET", pattern: "/plugins/{name}/logs", access: operator, handler: (*Gateway).logsPage},
		{method: "GET", pattern: "/plugins/{name}/try", access: operator, handler: (*Gateway).tryPage},
		{method: "POST", pattern: "/plugins/{name}/try", access: operator, limit: ruleLimit, handler: (*Gateway).tryForm},
		{method: "GET", pattern: "/plugins/{name}/change/{change}", access: operator, handler: (*Gateway).changePage},
		{method: "POST", pattern: "/plugins/{name}/change/{change}", access: operator, proven: true, limit: ruleLimit, handler: (*Gateway).changeForm, timeout: importExpiry},

		{method: "POST", pattern: "/plugins/{name}/backtest", access: operator, limit: 2 * maxLabelsFile, handler: (*Gateway).backtestForm, timeout: importExpiry},
		{method: "GET", pattern: "/plugins/backtests/{id}", access: operator, handler: (*Gateway).backtestPage},
		{method: "POST", pattern: "/plugins/backtests/{id}/cancel", access: operator, limit: textLimit, handler: (*Gateway).cancelBacktestForm},
		{method: "GET", pattern: "/decisions/{id}/replay", access: operator, handler: (*Gateway).replayPage},

		{method: "GET", pattern: "/cluster", access: operator, handler: (*Gateway).clusterPage},
		{method: "GET", pattern: "/cluster/{node}/{change}", access: operator, handler: (*Gateway).memberPage},
		{method: "POST", pattern: "/cluster/{node}/{change}", access: operator, proven: true, limit: textLimit, handler: (*Gateway).memberForm},
	}
	for i := range all {
		all[i].page = true
	}
	return all
}
