using System.Net;
using MailPipeline.Mail;

namespace MailPipeline.Console.Tests;

/// <summary>Domains, accounts and aliases by HTTP.</summary>
public sealed class DirectoryApiTests
{
    [Fact]
    public async Task A_domain_with_an_account_and_an_alias_is_made_read_and_removed()
    {
        await using var run = await ConsoleRun.StartAsync();
        using var http = await run.LogInAsync();
        var (status, made, response) = await http.AskAsync("POST domains", new { name = "Bücher.example" });
        Assert.Equal((HttpStatusCode.Created, "/api/v1/domains/xn--bcher-kva.example"), (status, response.Headers.Location?.OriginalString));
        Assert.Equal("xn--bcher-kva.example", made.GetProperty("domain").GetProperty("name").GetString());
        Assert.False(made.GetProperty("hasPostmaster").GetBoolean());
        (status, made, _) = await http.AskAsync("POST accounts", new { address = "ann@xn--bcher-kva.example", password = "s3cret-words" });
        Assert.Equal((HttpStatusCode.Created, "postmaster@xn--bcher-kva.example"), (status, made.GetProperty("postmaster").GetString()));
        Assert.Equal(HttpStatusCode.Created, (await http.AskAsync("POST aliases", new { address = "sales@xn--bcher-kva.example", target = "ann@xn--bcher-kva.example" })).Status);
        Assert.Equal(HttpStatusCode.NoContent, (await http.AskAsync("PUT accounts/ann@xn--bcher-kva.example/password", new { password = "other-words" })).Status);

        Assert.Equal(1, (await http.AskAsync("GET accounts?domain=bücher.example")).Body.GetProperty("items").GetArrayLength());
        Assert.Equal(0, (await http.AskAsync("GET accounts?domain=other.example")).Body.GetProperty("items").GetArrayLength());
        Assert.Equal("409 hasAccounts", await http.ProblemAsync("DELETE domains/bücher.example"));
        (status, var gone, _) = await http.AskAsync("DELETE accounts/ann@xn--bcher-kva.example");
        Assert.Equal((HttpStatusCode.OK, 2), (status, gone.GetProperty("brokenAliases").GetArrayLength()));
        Assert.Equal(HttpStatusCode.OK, (await http.AskAsync("DELETE aliases?address=sales@xn--bcher-kva.example&target=ann@xn--bcher-kva.example")).Status);
        Assert.Equal(HttpStatusCode.OK, (await http.AskAsync("DELETE domains/bücher.example")).Status);
        Assert.Equal("404 noSuchDomain", await http.ProblemAsync("GET domains/bücher.example"));

        // Each act is in the audit, with the token's name and where it came from.
        var acts = (await http.AskAsync("GET audit")).Body.GetProperty("entries").EnumerateArray().Select(act => act.GetProperty("action").GetString()).ToList();
        Assert.Equal(["tokenMade", "domainAdded", "accountAdded", "aliasAdded", "passwordChanged", "accountRemoved", "aliasRemoved", "domainRemoved"], acts);
        var last = (await http.AskAsync("GET audit?limit=1")).Body.GetProperty("entries")[0];
        Assert.StartsWith("token ", last.GetProperty("operator").GetString(), StringComparison.Ordinal);
        Assert.Equal("127.0.0.1", last.GetProperty("host").GetString());
    }

    [Theory]
    [InlineData("POST domains", """{"name":".."}""", "422 notADomain name")]
    [InlineData("POST domains", """{"name":"example.org"}""", "409 domainAlreadyThere")]
    [InlineData("POST domains", """{"name":"a.example","aliasOf":"example.org","relay":"mx"}""", "422 aliasOrRelay relay")]
    [InlineData("POST domains", """{"name":"a.example","recipients":"listed"}""", "422 needsRelay recipients")]
    [InlineData("POST domains", """{"name":"a.example","relay":"a..b"}""", "422 notANextHop relay")]
    [InlineData("POST domains", """{"name":"a.example","aliasOf":"b.example"}""", "409 domainNotOurs")]
    [InlineData("POST domains", """{"nmae":"a.example"}""", "400 badBody nmae")]
    [InlineData("POST domains", """{"name":5}""", "400 badBody name")]
    [InlineData("POST domains", """{"name":null}""", "400 badBody name")]
    [InlineData("POST domains", """{"name":"a.example","relay":"mx","recipients":"some"}""", "400 badBody recipients")]
    [InlineData("POST domains", """{"name":""", "400 badBody name")]
    [InlineData("POST domains", "nonsense", "400 badBody")]
    [InlineData("POST accounts", """{"address":"ann@example.org","password":"s3cret-words"}""", "409 accountAlreadyThere")]
    [InlineData("POST accounts", """{"address":"bob@example.org","password":"short"}""", "422 passwordTooShort password")]
    [InlineData("POST accounts", """{"address":"bob@other.example","password":"s3cret-words"}""", "409 domainNotOurs")]
    [InlineData("POST accounts", """{"address":"bob","password":"s3cret-words"}""", "422 notAnAddress address")]
    [InlineData("PUT accounts/bob@example.org/password", """{"password":"s3cret-words"}""", "404 noSuchAccount")]
    [InlineData("POST aliases", """{"address":"a@example.org","target":"a@example.org"}""", "409 aliasFaulty")]
    [InlineData("GET domains?limit=0", null, "422 badLimit limit")]
    [InlineData("GET domains?limit=x", null, "400 badRequest")]
    [InlineData("GET domains?cursor=%25", null, "422 badCursor cursor")]
    [InlineData("GET nothing", null, "404 noSuchResource")]
    [InlineData("PATCH domains", null, "405 badMethod")]
    public async Task What_makes_no_sense_is_a_problem_that_names_the_field(string request, string? body, string problem)
    {
        await using var run = await ConsoleRun.StartAsync();
        await run.MakeAsync("ann@example.org");
        using var http = await run.LogInAsync();
        Assert.Equal(problem, await http.ProblemAsync(request, body is null ? null : Requests.Text(body, "application/json")));
    }

    [Fact]
    public async Task A_list_comes_in_pages_and_goes_on_behind_what_is_gone()
    {
        await using var run = await ConsoleRun.StartAsync();
        using var http = await run.LogInAsync();
        foreach (var name in new[] { "d.example", "a.example", "c.example", "b.example", "e.example" })
            await http.AskAsync("POST domains", new { name });
        var (_, first, _) = await http.AskAsync("GET domains?limit=2");
        Assert.Equal(["a.example", "b.example"], Names(first));
        await http.AskAsync("DELETE domains/b.example");
        var (_, second, _) = await http.AskAsync($"GET domains?limit=2&cursor={first.GetProperty("next").GetString()}");
        Assert.Equal(["c.example", "d.example"], Names(second));
        var (_, last, _) = await http.AskAsync($"GET domains?limit=2&cursor={second.GetProperty("next").GetString()}");
        Assert.Equal(["e.example"], Names(last));
        Assert.Equal(System.Text.Json.JsonValueKind.Null, last.GetProperty("next").ValueKind);

        static List<string?> Names(System.Text.Json.JsonElement page) => [.. page.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("name").GetString())];
    }

    [Fact]
    public async Task Who_has_read_something_else_changes_nothing()
    {
        await using var run = await ConsoleRun.StartAsync();
        using var http = await run.LogInAsync();
        await http.AskAsync("POST domains", new { name = "a.example" });
        var tag = (await http.AskAsync("GET domains/a.example")).Response.Headers.ETag!.Tag;
        await http.AskAsync("DELETE domains/a.example");
        await http.AskAsync("POST domains", new { name = "a.example", relay = "mx" });
        Assert.Equal("400 badTag If-Match", await http.ProblemAsync("DELETE domains/a.example", null, ("If-Match", tag.Trim('"'))));
        Assert.Equal("412 changed If-Match", await http.ProblemAsync("DELETE domains/a.example", null, ("If-Match", tag)));
        tag = (await http.AskAsync("GET domains/a.example")).Response.Headers.ETag!.Tag;
        Assert.Equal(HttpStatusCode.OK, (await http.AskAsync("DELETE domains/a.example", null, ("If-Match", tag))).Status);
    }

    [Theory]
    [InlineData("application/x-ndjson", """
        {"address":"bob@example.org","password":"s3cret-words"}
        {"address":"ann@example.org","password":"s3cret-words"}

        nonsense
        {"address":"eve@other.example","password":"s3cret-words"}
        {"address":"carl@example.org","password":"short"}
        LONG
        {"address":"dora@example.org","password":"s3cret-words"}
        """, "1 -, 2 accountAlreadyThere, 4 badLine, 5 domainNotOurs, 6 passwordTooShort, 7 badLine, 8 -")]
    [InlineData("text/csv", """
        address,password
        bob@example.org,s3cret-words
        ann@example.org,"s3cret,""words"
        "eve@example.org","s3cret-words"

        a,b,c
        "carl@example.org
        LONG
        """, "2 -, 3 accountAlreadyThere, 4 -, 6 badLine, 7 badLine, 8 badLine")]
    public async Task Many_accounts_are_made_each_by_itself(string type, string body, string expected)
    {
        await using var run = await ConsoleRun.StartAsync();
        await run.MakeAsync("ann@example.org");
        using var http = await run.LogInAsync();
        var (status, _, response) = await http.AskAsync("POST accounts/import", Requests.Text(body.Replace("LONG", new string('x', 100_000), StringComparison.Ordinal), type));
        Assert.Equal(HttpStatusCode.OK, status);
        var lines = (await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => System.Text.Json.JsonDocument.Parse(line).RootElement)
            .Select(line => $"{line.GetProperty("line").GetInt32()} {(line.GetProperty("problem").GetString() ?? "-")}");
        Assert.Equal(expected, string.Join(", ", lines));
        Assert.Equal(3, (await http.AskAsync("GET accounts")).Body.GetProperty("items").GetArrayLength());
    }

    [Fact]
    public async Task An_import_of_another_type_is_refused()
    {
        await using var run = await ConsoleRun.StartAsync();
        using var http = await run.LogInAsync();
        Assert.Equal("415 badMediaType", await http.ProblemAsync("POST accounts/import", Requests.Text("x", "text/plain")));
        Assert.Equal("415 badMediaType", await http.ProblemAsync("POST domains", Requests.Text("x", "text/plain")));
    }

    [Fact]
    public async Task An_import_says_what_it_leaves_out()
    {
        await using var run = await ConsoleRun.StartAsync();
        await run.MakeAsync("ann@example.org");
        using var http = await run.LogInAsync();
        // Without a heading the first account would be taken for one.
        Assert.Equal("1 badLine", await ImportAsync("text/csv", "bob@example.org,s3cret-words\n"u8.ToArray()));
        Assert.Equal("1 -, 2 badLine", await ImportAsync(
            "application/x-ndjson", [.. "\uFEFF{\"address\":\"bob@example.org\",\"password\":\"s3cret-words\"}\n"u8, .. "{\"address\":\"eve@example.org\",\"password\":\"s3cret-w\u00F6rter\"}"u8[..44], 0xF6, .. "rter\"}"u8]));
        Assert.Equal("10001 tooManyLines", await ImportAsync("application/x-ndjson", [.. Enumerable.Repeat((byte)'\n', 20_000)]));

        async Task<string> ImportAsync(string type, byte[] body)
        {
            using var content = new ByteArrayContent(body);
            content.Headers.ContentType = new(type);
            var (_, _, response) = await http.AskAsync("POST accounts/import", content);
            return string.Join(", ", (await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(line => System.Text.Json.JsonDocument.Parse(line).RootElement)
                .Select(line => $"{line.GetProperty("line").GetInt32()} {line.GetProperty("problem").GetString() ?? "-"}"));
        }
    }
}
