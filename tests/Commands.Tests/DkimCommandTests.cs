using System.Text.Json;
using MailPipeline.Testing;

namespace MailPipeline.Commands.Tests;

/// <summary>Keys that mail is signed with, as an operator makes and retires them.</summary>
public sealed class DkimCommandTests : IDisposable
{
    private readonly CommandRun _run = new();

    private string Keys => Path.Combine(_run.DataFolder, "dkim", "example.org");

    public void Dispose() => _run.Dispose();

    [Fact]
    public async Task Keys_are_made_for_their_owner_alone_and_the_records_are_shown()
    {
        var made = await _run.RunAsync("dkim create EXAMPLE.org --selector s1");
        Assert.Equal(0, made.ExitCode);
        var lines = made.Output.Split('\n');
        Assert.Equal($"2 keys made in {Path.Combine(_run.DataFolder, "dkim")} for example.org; mail is signed within seconds. Publish first:", lines[0]);
        Assert.Matches("^s1r\\._domainkey\\.example\\.org\\. TXT \\( \"v=DKIM1; k=rsa; p=[^\"]{230,255}\" \"[^\"]+\" \\)$", lines[2]);
        Assert.Matches("^s1e\\._domainkey\\.example\\.org\\. TXT \\( \"v=DKIM1; k=ed25519; p=[^\"]{44}\" \\)$", lines[4]);
        foreach (var name in new[] { "s1r.pem", "s1e.pem" })
        {
            if (!OperatingSystem.IsWindows())
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(Keys, name)));
        }

        Assert.Equal(["s1e.pem", "s1r.pem"], Directory.GetFiles(Keys).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        (await _run.RunAsync("dkim create example.org --selector s1")).ShouldNotBeDone(
            "example.org has keys with these selectors, or has retired some; --selector names others");
        Assert.Matches("^m20[0-9]{4}r\\._domainkey", (await _run.RunAsync("dkim create example.net --kind rsa")).Output.Split('\n')[2]);
    }

    [Fact]
    public async Task A_key_that_is_retired_is_listed_no_more_and_its_name_is_not_used_again()
    {
        await _run.RunAsync("dkim create example.org --selector s1");
        Assert.Equal(0, (await _run.RunAsync("dkim retire example.org s1r")).ExitCode);
        Assert.True(File.Exists(Path.Combine(Keys, "s1r.pem.retired")));
        var (_, json) = await _run.RunJsonAsync("dkim list example.org");
        Assert.Equal("s1e", Assert.Single(json.GetProperty("keys").EnumerateArray()).GetProperty("selector").GetString());
        (await _run.RunAsync("dkim retire example.org s1r")).ShouldNotBeDone("example.org has no key s1r; 'dkim list example.org' shows those there are");
        Assert.Equal(1, (await _run.RunAsync("dkim create example.org --selector s1 --kind rsa")).ExitCode);
    }

    [Fact]
    public async Task It_is_noted_in_the_store_where_one_is_there_and_none_is_made_for_it()
    {
        await _run.RunAsync("dkim create example.net --kind rsa --selector s1");
        Assert.False(File.Exists(Path.Combine(_run.DataFolder, "mail.db")));
        await _run.RunAsync("domain add example.org --as joe");
        await _run.RunAsync("dkim create example.org --selector s1 --as joe");
        await _run.RunAsync("dkim retire example.org s1r --as joe");
        var (_, audit) = await _run.RunJsonAsync("audit");
        Assert.Equal(
            ["domainAdded example.org", "dkimKeyMade s1r._domainkey.example.org", "dkimKeyMade s1e._domainkey.example.org", "dkimKeyRetired s1r._domainkey.example.org"],
            audit.GetProperty("entries").EnumerateArray().Select(entry => $"{entry.GetProperty("action").GetString()} {entry.GetProperty("subject").GetString()}"));
    }

    [Fact]
    public async Task What_cannot_be_noted_is_not_done()
    {
        var refused = await _run.RunAsync("dkim create example.org", settings: "--ConnectionStrings:maildb=Data Source=/nowhere/mail.db");
        Assert.Equal(2, refused.ExitCode);
        Assert.StartsWith("ConnectionStrings:maildb names a file, but there is no database /nowhere/mail.db", refused.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Keys));
    }

    [Fact]
    public async Task Whether_records_are_published_is_asked_of_a_server()
    {
        await _run.RunAsync("dkim create example.org --selector s1");
        await _run.RunAsync("dkim create example.net --selector s1 --kind rsa");
        var (_, json) = await _run.RunJsonAsync("dkim list");
        string Record(string selector, string domain) => json.GetProperty("keys").EnumerateArray().Single(
            key => key.GetProperty("selector").GetString() == selector && key.GetProperty("domain").GetString() == domain).GetProperty("record").GetString()!;
        await using var dns = await DnsServer.StartAsync(
            $"s1r._domainkey.example.org. TXT {string.Join(' ', Record("s1r", "example.org").Chunk(255).Select(part => $"\"{new string(part)}\""))}\n"
            + $"s1r._domainkey.example.net. TXT {string.Join(' ', Record("s1r", "example.org").Chunk(255).Select(part => $"\"{new string(part)}\""))}",
            TestContext.Current.CancellationToken);
        var (exitCode, asked) = await _run.RunJsonAsync($"dkim list --dns {dns.EndPoint}");
        Assert.Equal(0, exitCode);
        Assert.Equal(
            ["example.net s1r other", "example.org s1e missing", "example.org s1r published"],
            asked.GetProperty("keys").EnumerateArray().Select(key => $"{Text(key, "domain")} {Text(key, "selector")} {Text(key, "state")}"));

        static string Text(JsonElement key, string name) => key.GetProperty(name).GetString()!;
    }

    [Theory]
    [InlineData("dkim create no..domain", "'no..domain' is not a domain; it looks like example.org")]
    [InlineData("dkim create example.org --selector a/b", "'a/b' is no selector; it is letters, digits, '-', '_' and '.'")]
    [InlineData("dkim list --dns nowhere", "Dns:Servers has 'nowhere'")]
    public async Task What_is_no_name_is_said(string line, string complaint)
    {
        if (line.Contains("--dns", StringComparison.Ordinal))
            await _run.RunAsync("dkim create example.org");
        var refused = await _run.RunAsync(line);
        Assert.Equal(2, refused.ExitCode);
        Assert.StartsWith(complaint, refused.Error, StringComparison.Ordinal);
    }
}
