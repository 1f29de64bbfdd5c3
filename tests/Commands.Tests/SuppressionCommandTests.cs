namespace MailPipeline.Commands.Tests;

/// <summary>Suppression lists of senders, by an operator.</summary>
public sealed class SuppressionCommandTests : IDisposable
{
    private readonly CommandRun _run = new();

    public void Dispose() => _run.Dispose();

    [Fact]
    public async Task A_list_is_begun_filled_shown_exported_and_ended()
    {
        await _run.RunAsync("domain add example.org");
        (await _run.RunAsync("suppression list")).ShouldBeDone("Nobody has a suppression list; 'suppression on SENDER' begins one");
        (await _run.RunAsync("suppression add example.com ann@example.net")).ShouldNotBeDone(
            "example.com has no suppression list; 'suppression on example.com' begins one, 'suppression list' shows who has one");
        (await _run.RunAsync("suppression on example.com --as joe")).ShouldBeDone(
            "Who refuses mail of example.com for good, or complains of it, is not sent any for 180 d 0 h; within seconds all servers know it");
        Assert.Matches("^example.com +20[^ ]+Z +180 d 0 h +joe$", (await _run.RunAsync("suppression list")).Output.Split('\n')[1]);
        (await _run.RunAsync("suppression list example.com")).ShouldBeDone("Nobody is on it");
        Assert.Matches("^ann@example.net is sent no mail of example.com until 20[^ ]+Z$", (await _run.RunAsync("suppression add example.com Ann@Example.NET --for 7d --reason moved")).Output);
        (await _run.RunAsync("suppression add example.com bob@example.net --for never")).ShouldBeDone("bob@example.net is sent no mail of example.com");
        Assert.Matches("^ann@example.net +example.com +20[^ ]+Z +20[^ ]+Z +operator +moved$", (await _run.RunAsync("suppression list example.com --limit 1")).Output.Split('\n')[1]);
        Assert.Equal("... and more; '--after ann@example.net' goes on", (await _run.RunAsync("suppression list example.com --limit 1")).Output.Split('\n')[2]);
        Assert.Matches("^bob@example.net +example.com ", (await _run.RunAsync("suppression list --recipient BOB@example.net")).Output.Split('\n')[1]);

        var lines = (await _run.RunAsync("suppression export example.com")).Output.Split('\n');
        Assert.Equal("address,cause,reason,since,until", lines[0]);
        Assert.Matches("^ann@example.net,operator,moved,20[^,]+Z,20[^,]+Z$", lines[1]);
        Assert.Matches("^bob@example.net,operator,,20[^,]+Z,never$", lines[2]);
        Assert.StartsWith("""{"address":"ann@example.net","cause":"operator","reason":"moved","since":"20""", (await _run.RunAsync("suppression export example.com --format ndjson")).Output, StringComparison.Ordinal);

        Assert.Matches("^ann@example.net is sent mail of example.com again; on the list since 20[^ ]+Z .operator: moved.$", (await _run.RunAsync("suppression remove example.com ann@example.net")).Output);
        (await _run.RunAsync("suppression off example.com")).ShouldBeDone(
            "The suppression list of example.com has no effect any more; should it begin again, those are on it whose time is not over");
        var audit = (await _run.RunAsync("audit")).Output;
        foreach (var act in (string[])["suppression begun +example.com", "recipient suppressed +bob@example.net of example.com +1", "recipient unsuppressed +ann@example.net of example.com", "suppression ended +example.com"])
            Assert.Matches(act, audit);
    }

    [Fact]
    public async Task A_file_is_imported_and_each_bad_line_is_told()
    {
        await _run.RunAsync("domain add example.org");
        await _run.RunAsync("suppression on example.com");
        var file = Path.Combine(_run.Folder, "list.csv");
        await File.WriteAllTextAsync(file, "email,reason\nann@example.net,gone\nnobody\x1B[2J\n{\"address\":\"bob@example.net\"}\n", TestContext.Current.CancellationToken);
        var imported = await _run.RunAsync($"suppression import example.com {file}");
        Assert.Equal(new CommandResult(1, "line 3: 'nobody?[2J' is no mail address", "2 recipients put on the suppression list of example.com; of 1 line nobody"), imported);
        (await _run.RunAsync("suppression import example.com -", "carl@example.net")).ShouldBeDone("1 recipient put on the suppression list of example.com");
        Assert.Equal(
            """{"status":"done","result":"suppressionsImported","message":"0 recipients put on the suppression list of example.com; 1 passed over, whose time is over","sender":"example.com","added":0,"over":1,"bad":0,"badLines":[]}""",
            (await _run.RunAsync("suppression import example.com - --json", "address,until\ndan@example.net,2020-01-01")).Output);
        Assert.Matches("suppressions imported +example.com from list.csv +2", (await _run.RunAsync("audit")).Output);
    }

    [Theory]
    [InlineData("suppression on nonsense@", "'nonsense@' is neither an account nor a domain")]
    [InlineData("suppression on example.com --for soon", "--for is 'soon'; it must be a time such as 12h or 30d, up to 3650d, or never")]
    [InlineData("suppression on example.com --for 4000d", "--for is '4000d'; it must be a time such as 12h or 30d, up to 3650d, or never")]
    [InlineData("suppression import example.com /nowhere/list.csv", "FILE is '/nowhere/list.csv', which cannot be read:")]
    [InlineData("suppression export example.com --json", "export writes lines;")]
    [InlineData("suppression list example.com --recipient ann@example.net", "--recipient goes without SENDER: it looks through all lists")]
    public async Task What_makes_no_sense_is_said(string line, string complaint)
    {
        await _run.RunAsync("domain add example.org");
        var refused = await _run.RunAsync(line);
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains(complaint, refused.Error + refused.Output, StringComparison.Ordinal);
    }
}
