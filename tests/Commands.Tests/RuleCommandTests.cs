namespace MailPipeline.Commands.Tests;

/// <summary>Rules about mail that waits, by an operator.</summary>
public sealed class RuleCommandTests : IDisposable
{
    private readonly CommandRun _run = new();

    public void Dispose() => _run.Dispose();

    [Fact]
    public async Task A_rule_is_added_shown_changed_and_removed_by_its_name()
    {
        await _run.RunAsync("domain add example.org");
        (await _run.RunAsync("rule list")).ShouldBeDone("There are no rules");
        (await _run.RunAsync("rule add quiet hold --domain *.Example.NET --sender <> --why an-audit --dry-run")).ShouldBeDone(
            "hold: domain *.example.net, sender <>. Nothing that waits fits. Nothing was changed");
        (await _run.RunAsync("rule list")).ShouldBeDone("There are no rules");
        Assert.Matches(
            "^quiet stands until 20[^ ]+Z: hold: domain \\*.example.net, sender <>. Nothing that waits fits, so far; within a second all servers obey it$",
            (await _run.RunAsync("rule add quiet hold --domain *.Example.NET --sender <> --why an-audit --for 12h --as joe")).Output);
        (await _run.RunAsync("rule add quiet hold --domain x.example --why again")).ShouldNotBeDone(
            "There is a rule 'quiet' already; 'rule change' changes it, 'rule remove' ends it");
        var lines = (await _run.RunAsync("rule list")).Output.Split('\n');
        Assert.Matches("^name +what +fits now +state +set by +since +why$", lines[0].Trim());
        Assert.Matches("^quiet +hold: domain \\*.example.net, sender <> +0 +stands until 20[^ ]+Z +joe +20[^ ]+Z +an-audit$", lines[1].Trim());
        Assert.Matches("^quiet is now 'hold: domain example.com, sender <>', and was 'hold: domain \\*.example.net, sender <>' until 20[^ ]+Z. Nothing that waits fits$",
            (await _run.RunAsync("rule change quiet --domain example.com --no-end")).Output);
        Assert.Matches("^quiet: hold: domain example.com, sender <>\n  set by joe on .+ at 20[^ ]+Z: an-audit\n  stands\n  Nothing that waits fits$",
            (await _run.RunAsync("rule show quiet")).Output.Trim());
        Assert.Matches(
            """^{"status":"done","result":"rule","name":"quiet","act":"hold","conditions":{"domain":"example.com","sender":"[^"]+"},"text":"","why":"an-audit","setBy":"joe",.*"until":null,"stands":true,"endedAt":null,"fits":{"recipients":0,"beingTried":0,"domains":0,"looked":0,"exact":true}}$""",
            (await _run.RunAsync("rule show quiet --json")).Output);
        (await _run.RunAsync("rule remove quiet")).ShouldBeDone("quiet is removed (hold: domain example.com, sender <>); within a second what it changed goes on as it was");
        (await _run.RunAsync("rule remove quiet")).ShouldNotBeDone("There is no rule 'quiet'; 'rule list' shows them");
        var audit = (await _run.RunAsync("audit")).Output.Split('\n');
        Assert.Matches("joe +.* rule added +quiet: hold: domain \\*.example.net, sender <>; until 20[^ ]+Z; an-audit", audit[^3]);
        Assert.Matches("rule changed +quiet: hold: domain example.com, sender <>; an-audit", audit[^2]);
        Assert.Matches("rule removed +quiet", audit[^1]);
    }

    [Fact]
    public async Task What_is_done_once_to_nothing_is_not_done()
    {
        await _run.RunAsync("domain add example.org");
        (await _run.RunAsync("rule add stop bounce --domain example.net --text gone --why mistake")).ShouldNotBeDone(
            "Nothing was done: nothing that waits fits 'bounce 'gone': domain example.net'");
        (await _run.RunAsync("rule list")).ShouldBeDone("There are no rules");
    }

    [Theory]
    [InlineData("rule add x hold --why test", "which mail is meant must be said by --domain, --site, --sender,")]
    [InlineData("rule add x hold --domain example.net", "--why must be one line of 1 to 200 characters")]
    [InlineData("rule add x freeze --domain example.net --why test", "ACT is 'freeze'; it must be one of hold, suspend, redirect, rate, release, retry, bounce, expire")]
    [InlineData("rule add a/b hold --domain example.net --why test", "NAME is 'a/b'; it must be 1 to 64 letters, digits, '.', '_' or '-'")]
    [InlineData("rule add x hold --domain a.*.net --why test", "--domain is 'a.*.net'; it must be a domain, '*.' and a domain (all below it), or '*'")]
    [InlineData("rule add x hold --recipient <> --why test", "--recipient is '<>'; it must be an address, a domain, '*@' or '*.' and a domain, or '*'")]
    [InlineData("rule add x hold --message y --why test", "--message is 'y'; it must be the id of a message")]
    [InlineData("rule add x suspend --sender a@example.org --why test", "what 'suspend' asks for is 'sender a@example.org'; it must be of destinations")]
    [InlineData("rule add x bounce --domain example.net --why test --for 1h", "--until or --for must be with an act that stands (hold, suspend, redirect, rate); 'bounce' is done once")]
    [InlineData("rule add x hold --domain example.net --why test --until 2001-01-01", "--until is '2001-01-01T00:00:00Z'; it must be a time to come")]
    [InlineData("rule add x hold --domain example.net --why test --for 1h --until 2040-01-01", "--for and --until both say when it ends")]
    [InlineData("rule add x hold --domain example.net --why test --text hello", "--text is 'hello'; it must be with 'bounce' or 'expire' only; this is 'hold'")]
    [InlineData("rule add x redirect --domain example.net --why test", "--to must be a host, host:port")]
    [InlineData("rule add x redirect --domain example.net --why test --to host:x", "--to is 'host:x'; it must be a host,")]
    [InlineData("rule add x rate --domain example.net --why test", "--per-second must be 0.001 to 100000 messages")]
    [InlineData("rule add x rate --domain example.net --why test --per-second fast", "--per-second is 'fast'; it must be a number")]
    [InlineData("rule add x rate --sender a@example.org --per-second 1 --why test", "what 'rate' asks for is 'sender a@example.org'; it must be of destinations")]
    public async Task What_makes_no_sense_is_said(string line, string complaint)
    {
        await _run.RunAsync("domain add example.org");
        var refused = await _run.RunAsync(line);
        Assert.Equal(2, refused.ExitCode);
        Assert.StartsWith(complaint, refused.Error, StringComparison.Ordinal);
    }
}
