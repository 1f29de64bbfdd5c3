using System.Net;
using System.Text.Json;
using MailPipeline.Administration;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Console.Tests;

/// <summary>Who is let in, and what he sees.</summary>
public sealed class AccessTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Each_request_of_the_document_needs_a_token_with_its_scope()
    {
        await using var run = await ConsoleRun.StartAsync();
        await run.MakeAsync("ann@example.org");
        var all = ApiScopes.Read | ApiScopes.Operate | ApiScopes.Administer | ApiScopes.Send;
        var without = new Dictionary<string, HttpClient>();
        foreach (var scope in new[] { ApiScopes.Read, ApiScopes.Operate, ApiScopes.Administer })
            without[scope.ToString().ToLowerInvariant()] = await run.LogInAsync(all & ~scope);
        using var another = run.Connect(TokenText.Create());
        var (_, document, _) = await run.Http.AskAsync("GET openapi.json");
        var count = 0;
        foreach (var path in document.GetProperty("paths").EnumerateObject())
        {
            foreach (var operation in path.Value.EnumerateObject())
            {
                var request = $"{operation.Name.ToUpperInvariant()} {FillIn(path.Name["/api/v1/".Length..])}";
                // The document says which scope it asks for: with it one is let in, with all of the others one is not.
                var asked = operation.Value.GetProperty("description").GetString()!["Scope: ".Length..];
                Assert.Contains(asked, operation.Name == "get" ? ["read", "administer"] : new[] { "operate", "administer" });
                var type = operation.Value.TryGetProperty("requestBody", out var body) ? body.GetProperty("content").EnumerateObject().First().Name : null;
                foreach (var (http, problem) in new[] { (run.Http, "401 noToken"), (another, "401 noToken"), (without[asked], "403 noScope") })
                    Assert.Equal(problem, await http.ProblemAsync(request, type is null ? null : Requests.Text("{}", type)));
                count++;
            }
        }
        Assert.True(count >= 25, $"{count} requests");

        static string FillIn(string path) => System.Text.RegularExpressions.Regex.Replace(path, "{[^}]+}", "1");
    }

    [Theory]
    // request, of example.org, of ann@example.org
    [InlineData("GET domains/other.example", "404 noSuchDomain", "404 noSuchDomain")]
    [InlineData("GET accounts/eve@other.example", "404 noSuchAccount", "404 noSuchAccount")]
    [InlineData("GET accounts/bob@example.org", "200", "404 noSuchAccount")]
    [InlineData("GET messages", "403 notYours", "403 notYours")]
    [InlineData("GET messages?to=eve@other.example", "403 notYours", "403 notYours")]
    [InlineData("GET messages?from=ann@example.org", "403 notYours", "403 notYours")]
    [InlineData("GET messages?to=ann@example.org", "200", "200")]
    [InlineData("GET messages?to=bob@example.org", "200", "403 notYours")]
    [InlineData("GET messages/TOEVE", "404 noSuchMessage", "404 noSuchMessage")]
    [InlineData("GET messages/TOBOB", "200", "404 noSuchMessage")]
    [InlineData("GET messages/TOANN", "200", "200")]
    [InlineData("GET queue", "403 notYours", "403 notYours")]
    [InlineData("GET queue/groups?by=domain", "403 notYours", "403 notYours")]
    [InlineData("GET queue/entries?domain=example.org", "403 notYours", "403 notYours")]
    [InlineData("GET audit", "403 notYours", "403 notYours")]
    [InlineData("GET bans", "403 notYours", "403 notYours")]
    public async Task A_token_for_less_sees_nothing_of_others(string request, string ofDomain, string ofAccount)
    {
        await using var run = await ConsoleRun.StartAsync();
        await run.MakeAsync("ann@example.org", "bob@example.org", "eve@other.example");
        request = request.Replace("TOEVE", await run.QueueAsync("ann@example.org", "eve@other.example"), StringComparison.Ordinal)
            .Replace("TOBOB", await run.QueueAsync("eve@other.example", "bob@example.org"), StringComparison.Ordinal)
            .Replace("TOANN", await run.QueueAsync("eve@other.example", "ann@example.org", "eve@other.example"), StringComparison.Ordinal);
        foreach (var (of, expected) in new[] { ("example.org", ofDomain), ("ann@example.org", ofAccount) })
        {
            using var http = await run.LogInAsync(ApiScopes.Read, of);
            if (expected != "200")
            {
                Assert.Equal(expected, await http.ProblemAsync(request));
                continue;
            }
            var (status, body, _) = await http.AskAsync(request);
            Assert.Equal(HttpStatusCode.OK, status);
            if (body.TryGetProperty("recipients", out var recipients))
                Assert.DoesNotContain("other.example", recipients.GetRawText(), StringComparison.Ordinal);
            // How many others there are is theirs too.
            if (body.TryGetProperty("items", out var items) && request.StartsWith("GET messages", StringComparison.Ordinal))
                Assert.All(items.EnumerateArray(), item => Assert.Equal(JsonValueKind.Null, item.GetProperty("recipients").ValueKind));
        }
    }

    [Theory]
    [InlineData("POST domains", """{"name":"new.example"}""")]
    [InlineData("DELETE domains/example.org", null)]
    [InlineData("POST accounts", """{"address":"new@other.example","password":"s3cret-words"}""")]
    [InlineData("POST aliases", """{"address":"new@other.example","target":"ann@example.org"}""")]
    [InlineData("DELETE aliases?address=postmaster@other.example&target=eve@other.example", null)]
    [InlineData("GET tokens", null)]
    [InlineData("POST tokens", """{"name":"x","scopes":["read"]}""")]
    public async Task An_administrator_of_one_domain_changes_no_other(string request, string? body)
    {
        await using var run = await ConsoleRun.StartAsync();
        await run.MakeAsync("ann@example.org", "eve@other.example");
        using var http = await run.LogInAsync(ApiScopes.Read | ApiScopes.Administer, "example.org");
        Assert.Equal("403 notYours", await http.ProblemAsync(request, body is null ? null : Requests.Text(body, "application/json")));
        Assert.Equal(HttpStatusCode.Created, (await http.AskAsync("POST accounts", new { address = "new@example.org", password = "s3cret-words" })).Status);
        Assert.Equal("404 noSuchAccount", await http.ProblemAsync("PUT accounts/eve@other.example/password", new { password = "s3cret-words" }));
        Assert.Equal("404 noSuchAccount", await http.ProblemAsync("DELETE accounts/eve@other.example"));
        var (_, import, response) = await http.AskAsync("POST accounts/import", Requests.Text("""{"address":"x@other.example","password":"s3cret-words"}""", "application/x-ndjson"));
        Assert.Contains("\"problem\":\"notYours\"", await response.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_an_alias_leads_to_others_and_whose_led_here_is_told_to_nobody()
    {
        await using var run = await ConsoleRun.StartAsync();
        await run.MakeAsync("ann@example.org", "eve@other.example");
        var aliases = run.Get<Aliases>();
        await aliases.AddAsync("sales@example.org", "ann@example.org", ConsoleRun.By);
        await aliases.AddAsync("club@other.example", "sales@example.org", ConsoleRun.By);
        var led = await run.RouteAsync("far@far.example", ("spy@example.org", "eve-private@far.example"), ("club@other.example", "Ann@Example.ORG"));
        using var http = await run.LogInAsync(ApiScopes.Read | ApiScopes.Administer, "example.org");
        var (_, message, _) = await http.AskAsync($"GET messages/{led}");
        var text = message.GetRawText();
        Assert.DoesNotContain("eve-private", text, StringComparison.Ordinal);
        Assert.DoesNotContain("club@", text, StringComparison.Ordinal);
        Assert.Equal(["spy@example.org", "Ann@Example.ORG"], message.GetProperty("recipients").EnumerateArray().Select(recipient => recipient.GetProperty("address").GetString()));
        // Written in other letters, and with a detail, it is hers.
        using var hers = await run.LogInAsync(ApiScopes.Read, "ann@example.org");
        Assert.Equal(HttpStatusCode.OK, (await hers.AskAsync($"GET messages/{led}")).Status);
        Assert.Single((await hers.AskAsync("GET messages?to=ANN@example.org")).Body.GetProperty("items").EnumerateArray());
        var detailed = await run.RouteAsync("far@far.example", ("", "ann+lists@example.org"));
        Assert.Equal(HttpStatusCode.OK, (await hers.AskAsync($"GET messages/{detailed}")).Status);

        var (_, gone, _) = await http.AskAsync("DELETE aliases?address=sales@example.org&target=ann@example.org");
        Assert.DoesNotContain("club@", gone.GetRawText(), StringComparison.Ordinal);
        Assert.All((await http.AskAsync("GET aliases")).Body.GetProperty("items").EnumerateArray(), alias => Assert.EndsWith("@example.org", alias.GetProperty("address").GetString(), StringComparison.Ordinal));
        Assert.Equal(["ann@example.org"], (await http.AskAsync("GET accounts")).Body.GetProperty("items").EnumerateArray().Select(account => account.GetProperty("address").GetString()));
        Assert.Equal(["example.org"], (await http.AskAsync("GET domains")).Body.GetProperty("items").EnumerateArray().Select(domain => domain.GetProperty("name").GetString()));
    }

    [Fact]
    public async Task A_token_that_ends_makes_none_that_ends_later_and_those_that_have_ended_make_room()
    {
        await using var run = await ConsoleRun.StartAsync();
        var tokens = run.Get<ApiTokens>();
        var timed = Assert.IsType<TokenMade>(await tokens.MakeAsync("timed", ApiScopes.Read | ApiScopes.Administer, "", TimeSpan.FromHours(1), ConsoleRun.By, Cancellation));
        using var http = run.Connect(timed.Secret);
        Assert.Equal("403 notYours", await http.ProblemAsync("POST tokens", new { name = "x", scopes = new[] { "read" } }));
        Assert.Equal("403 notYours", await http.ProblemAsync("POST tokens", new { name = "x", scopes = new[] { "read" }, @for = "2h" }));
        Assert.Equal(HttpStatusCode.Created, (await http.AskAsync("POST tokens", new { name = "x", scopes = new[] { "read" }, @for = "30m" })).Status);
        run.Time.Advance(TimeSpan.FromMinutes(45));
        await tokens.MakeAsync("y", ApiScopes.Read, "", null, ConsoleRun.By, Cancellation);
        Assert.Equal(["timed", "y"], (await tokens.ListAsync(Cancellation)).Select(token => token.Name));
    }

    [Fact]
    public async Task Nobody_gives_away_a_scope_that_he_has_not()
    {
        await using var run = await ConsoleRun.StartAsync();
        using var http = await run.LogInAsync(ApiScopes.Read | ApiScopes.Administer);
        Assert.Equal("403 notYours", await http.ProblemAsync("POST tokens", new { name = "x", scopes = new[] { "read", "operate" } }));
        Assert.Equal("422 notAScope scopes", await http.ProblemAsync("POST tokens", new { name = "x", scopes = new[] { "none" } }));
        Assert.Equal("422 notATime for", await http.ProblemAsync("POST tokens", new { name = "x", scopes = new[] { "read" }, @for = "soon" }));
        var (status, made, _) = await http.AskAsync("POST tokens", new { name = "x", scopes = new[] { "read" }, @for = "1h" });
        Assert.Equal(HttpStatusCode.Created, status);
        using var other = run.Connect(made.GetProperty("secret").GetString()!);
        Assert.Equal(HttpStatusCode.OK, (await other.AskAsync("GET domains")).Status);
        Assert.DoesNotContain(made.GetProperty("secret").GetString()!, (await http.AskAsync("GET tokens")).Body.GetRawText(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await http.AskAsync("DELETE tokens/x")).Status);
        Assert.Equal("401 noToken", await other.ProblemAsync("GET domains"));
    }

    [Fact]
    public async Task In_clear_text_only_the_same_machine_is_answered()
    {
        await using var run = await ConsoleRun.StartAsync();
        using var http = await run.LogInAsync();
        // Which of two proxies it came through nobody knows: this one is on the same machine, and nobody trusts it.
        Assert.Equal("403 clearText", await http.ProblemAsync("GET domains", null, ("X-Forwarded-For", "198.51.100.1")));
        run.Client.Address = IPAddress.Parse("192.0.2.1");
        Assert.Equal("403 clearText", await http.ProblemAsync("GET domains"));
        Assert.Equal("403 clearText", await http.ProblemAsync("GET /API/V1/domains"));
        Assert.Equal("403 clearText", await http.ProblemAsync("GET openapi.json"));
        Assert.Equal("403 clearText", await http.ProblemAsync("GET domains", null, ("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-Proto", "https")));
    }

    [Fact]
    public async Task A_proxy_that_is_trusted_says_who_the_client_is_and_what_he_speaks()
    {
        await using var run = await ConsoleRun.StartAsync("Console:TrustedProxies:0=192.0.2.0/24");
        run.Client.Address = IPAddress.Parse("192.0.2.1");
        using var http = await run.LogInAsync();
        Assert.Equal(HttpStatusCode.OK, (await http.AskAsync("POST queue/pause", null, ("X-Forwarded-For", "198.51.100.1"), ("X-Forwarded-Proto", "https"))).Status);
        Assert.Equal("198.51.100.1", (await run.Get<AuditTrail>().ListAsync(DateTimeOffset.UnixEpoch, 10, Cancellation)).Entries[^1].Host);
        Assert.Equal("403 clearText", await http.ProblemAsync("GET queue", null, ("X-Forwarded-For", "198.51.100.1"), ("X-Forwarded-Proto", "http")));
        Assert.Equal("403 clearText", await http.ProblemAsync("GET queue", null, ("X-Forwarded-For", "198.51.100.1")));
        Assert.Equal("403 clearText", await http.ProblemAsync("GET queue"));
    }

    [Fact]
    public async Task With_TLS_anybody_is_who_has_a_token()
    {
        await using var run = await ConsoleRun.StartAsync($"Console:TlsPort={Testing.FreePorts.Next()}");
        using var made = await run.LogInAsync();
        run.Client.Address = IPAddress.Parse("192.0.2.1");
        using var http = Requests.ConnectByTls(run.Addresses.Single(address => address.StartsWith("https", StringComparison.Ordinal)));
        http.DefaultRequestHeaders.Authorization = made.DefaultRequestHeaders.Authorization;
        Assert.Equal(HttpStatusCode.OK, (await http.AskAsync("GET domains")).Status);
        // Nothing else is told there.
        foreach (var path in new[] { "/metrics", "/health/ready", "/health/live" })
            Assert.Equal(HttpStatusCode.NotFound, (await http.AskAsync($"GET {path}")).Status);
        Assert.Equal(HttpStatusCode.OK, (await run.Http.GetAsync(new Uri(run.Addresses.Single(address => !address.StartsWith("https", StringComparison.Ordinal)) + "/metrics"), Cancellation)).StatusCode);
    }

    [Fact]
    public async Task Without_a_certificate_for_its_listener_it_does_not_start()
    {
        var failure = await Assert.ThrowsAsync<ServerCertificateException>(() => ConsoleRun.StartAsync(
            "Tls:CertificatePath=/nowhere/tls.crt", "Tls:KeyPath=/nowhere/tls.key", $"Console:TlsPort={Testing.FreePorts.Next()}"));
        Assert.Contains("Tls:CertificatePath", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_IPv4_client_of_a_listener_for_both_is_noted_as_one()
    {
        await using var run = await ConsoleRun.StartAsync();
        using var http = await run.LogInAsync();
        run.Client.Address = IPAddress.Parse("::ffff:127.0.0.3");
        Assert.Equal(HttpStatusCode.Created, (await http.AskAsync("POST domains", new { name = "a.example" })).Status);
        Assert.Equal("127.0.0.3", (await http.AskAsync("GET audit?limit=1")).Body.GetProperty("entries")[0].GetProperty("host").GetString());
    }

    [Fact]
    public async Task Who_asks_too_often_waits_and_others_do_not()
    {
        await using var run = await ConsoleRun.StartAsync("Console:RequestsPerSecond=1", "Console:RequestBurst=5");
        using var http = run.Connect(TokenText.Create());
        var answers = new List<string>();
        for (var i = 0; i < 20; i++)
            answers.Add(await http.ProblemAsync("GET domains"));
        Assert.Equal("401 noToken", answers[0]);
        Assert.Equal("429 tooManyRequests", answers[^1]);
        Assert.Equal("429 tooManyRequests", await http.ProblemAsync("GET openapi.json"));
        // Health is asked often.
        Assert.Equal(HttpStatusCode.OK, (await http.AskAsync("GET /health/live")).Status);
        run.Client.Address = IPAddress.Parse("127.0.0.2");
        Assert.Equal("401 noToken", await http.ProblemAsync("GET domains"));
    }

    [Fact]
    public async Task Without_the_console_there_is_no_answer_but_for_health()
    {
        await using var run = await ConsoleRun.StartAsync("Console:Enabled=false");
        Assert.Equal(HttpStatusCode.NotFound, (await run.Http.GetAsync("openapi.json", Cancellation)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await run.Http.GetAsync(new Uri(run.Addresses[0] + "/health/live"), Cancellation)).StatusCode);
    }

    [Fact]
    public void What_is_no_token_is_told_without_the_store()
    {
        var token = TokenText.Create();
        Assert.True(TokenText.IsWellFormed(token));
        Assert.NotEqual(token, TokenText.Create());
        for (var at = 0; at < token.Length; at++)
            Assert.False(TokenText.IsWellFormed(string.Concat(token.AsSpan(0, at), token[at] == 'A' ? "B" : "A", token.AsSpan(at + 1))), $"octet {at}");
        Assert.False(TokenText.IsWellFormed(""));
        Assert.False(TokenText.IsWellFormed(token + "A"));
        Assert.False(TokenText.IsWellFormed(new string('é', token.Length)));
    }
}
