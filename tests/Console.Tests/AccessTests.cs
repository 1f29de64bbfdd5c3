using System.Net;
using System.Text.Json;
using MailPipeline.Administration;
using MailPipeline.Mail;

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
        using var nothing = await run.LogInAsync(ApiScopes.Send);
        using var another = run.Connect(TokenText.Create());
        var (_, document, _) = await run.Http.AskAsync("GET openapi.json");
        var count = 0;
        foreach (var path in document.GetProperty("paths").EnumerateObject())
        {
            foreach (var operation in path.Value.EnumerateObject())
            {
                var request = $"{operation.Name.ToUpperInvariant()} {FillIn(path.Name["/api/v1/".Length..])}";
                var type = operation.Value.TryGetProperty("requestBody", out var body) ? body.GetProperty("content").EnumerateObject().First().Name : null;
                foreach (var (http, problem) in new[] { (run.Http, "401 noToken"), (another, "401 noToken"), (nothing, "403 noScope") })
                    Assert.Equal(problem, await http.ProblemAsync(request, type is null ? null : Requests.Text("{}", type)));
                count++;
            }
        }
        Assert.True(count >= 25, $"{count} requests");

        static string FillIn(string path) => System.Text.RegularExpressions.Regex.Replace(path, "{[^}]+}", "1");
    }

    [Fact]
    public async Task A_token_ends_with_its_time_its_removal_and_its_account()
    {
        await using var run = await ConsoleRun.StartAsync();
        await run.MakeAsync("ann@example.org");
        var tokens = run.Get<ApiTokens>();
        var timed = Assert.IsType<TokenMade>(await tokens.MakeAsync("timed", ApiScopes.Read, "", TimeSpan.FromHours(1), ConsoleRun.By, Cancellation));
        var removed = Assert.IsType<TokenMade>(await tokens.MakeAsync("removed", ApiScopes.Read, "", null, ConsoleRun.By, Cancellation));
        var hers = Assert.IsType<TokenMade>(await tokens.MakeAsync("hers", ApiScopes.Read, "ann@example.org", null, ConsoleRun.By, Cancellation));
        foreach (var secret in new[] { timed.Secret, removed.Secret, hers.Secret })
        {
            using var http = run.Connect(secret);
            Assert.Equal(HttpStatusCode.OK, (await http.AskAsync("GET accounts")).Status);
        }
        Assert.All(await tokens.ListAsync(Cancellation), token => Assert.Equal(run.Time.GetUtcNow(), token.UsedAt));
        run.Time.Advance(TimeSpan.FromHours(1));
        await tokens.RemoveAsync("removed", ConsoleRun.By);
        await run.Get<Accounts>().RemoveAsync("ann@example.org", ConsoleRun.By, Cancellation);
        foreach (var secret in new[] { timed.Secret, removed.Secret, hers.Secret })
        {
            using var http = run.Connect(secret);
            Assert.Equal("401 noToken", await http.ProblemAsync("GET accounts"));
        }
        // Nothing of it is in the store.
        Assert.DoesNotContain(await tokens.ListAsync(Cancellation), token => token.Name == "hers");
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
        }
    }

    [Theory]
    [InlineData("POST domains", """{"name":"new.example"}""")]
    [InlineData("DELETE domains/example.org", null)]
    [InlineData("POST accounts", """{"address":"new@other.example","password":"s3cret-words"}""")]
    [InlineData("POST aliases", """{"address":"new@other.example","target":"ann@example.org"}""")]
    [InlineData("DELETE aliases/postmaster@other.example/eve@other.example", null)]
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
        run.Client.Address = IPAddress.Parse("192.0.2.1");
        Assert.Equal("403 clearText", await http.ProblemAsync("GET domains"));
        await using var behindProxy = await ConsoleRun.StartAsync("Console:AllowClearText=true");
        behindProxy.Client.Address = IPAddress.Parse("192.0.2.1");
        using var proxied = await behindProxy.LogInAsync();
        Assert.Equal(HttpStatusCode.OK, (await proxied.AskAsync("GET domains")).Status);
    }

    [Fact]
    public async Task With_TLS_anybody_is_who_has_a_token()
    {
        await using var run = await ConsoleRun.StartAsync($"Console:TlsPort={Testing.FreePorts.Next()}");
        using var made = await run.LogInAsync();
        run.Client.Address = IPAddress.Parse("192.0.2.1");
        using var handler = new HttpClientHandler { ServerCertificateCustomValidationCallback = (_, _, _, _) => true };
        using var http = new HttpClient(handler) { BaseAddress = new Uri(run.Addresses.Single(address => address.StartsWith("https", StringComparison.Ordinal)) + "/api/v1/") };
        http.DefaultRequestHeaders.Authorization = made.DefaultRequestHeaders.Authorization;
        Assert.Equal(HttpStatusCode.OK, (await http.AskAsync("GET domains")).Status);
    }

    [Fact]
    public async Task Who_asks_too_often_waits_and_others_do_not()
    {
        await using var run = await ConsoleRun.StartAsync("Console:RequestsPerSecond=1", "Console:RequestBurst=5", "Console:AllowClearText=true");
        using var http = run.Connect("rubbish");
        var answers = new List<string>();
        for (var i = 0; i < 20; i++)
            answers.Add(await http.ProblemAsync("GET domains"));
        Assert.Equal("401 noToken", answers[0]);
        Assert.Equal("429 tooManyRequests", answers[^1]);
        run.Client.Address = IPAddress.Parse("192.0.2.1");
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
