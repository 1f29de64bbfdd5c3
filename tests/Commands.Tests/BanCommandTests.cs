namespace MailPipeline.Commands.Tests;

/// <summary>Client networks that nobody serves, by an operator.</summary>
public sealed class BanCommandTests : IDisposable
{
    private readonly CommandRun _run = new();

    public void Dispose() => _run.Dispose();

    [Fact]
    public async Task A_ban_is_added_shown_and_lifted()
    {
        await _run.RunAsync("domain add example.org");
        (await _run.RunAsync("ban list")).ShouldBeDone("Nobody is banned");
        Assert.Matches(
            "^Nobody from 203.0.113.0/24 is served until 20[^ ]+Z; within seconds all servers know it$",
            (await _run.RunAsync("ban add 203.0.113.0/24 --for 12h --as joe --reason spam")).Output);
        var lines = (await _run.RunAsync("ban list")).Output.Split('\n');
        Assert.Matches("^network +since +until +set by +reason$", lines[0].Trim());
        Assert.Matches("^203.0.113.0/24 +20[^ ]+Z +20[^ ]+Z +joe +spam$", lines[1].Trim());
        Assert.Matches(
            """^{"status":"done","result":"bans","bans":\[{"network":"203.0.113.0/24","since":"20[^"]+Z","until":"20[^"]+Z","setBy":"joe","reason":"spam"}\],"more":false}$""",
            (await _run.RunAsync("ban list --json")).Output);
        (await _run.RunAsync("ban lift 203.0.113.1")).ShouldNotBeDone("203.0.113.1/32 is not banned; 'ban list' shows the networks as they are");
        Assert.Matches("^203.0.113.0/24 is served again; it was banned since 20[^ ]+Z by joe$", (await _run.RunAsync("ban lift 203.0.113.0/24 --as jim")).Output);
        (await _run.RunAsync("ban list")).ShouldBeDone("Nobody is banned");
        var audit = (await _run.RunAsync("audit")).Output.Split('\n');
        Assert.Matches("joe +.* ban set +203.0.113.0/24 until 20[^ ]+Z", audit[^2]);
        Assert.Matches("jim +.* ban lifted +203.0.113.0/24", audit[^1]);
    }

    [Theory]
    [InlineData("ban add 0.0.0.0/0", "'0.0.0.0/0' is no IP address and no network from /8 on (IPv6: /16)")]
    [InlineData("ban lift example.org", "'example.org' is no IP address and no network from /8 on (IPv6: /16)")]
    [InlineData("ban add 192.0.2.1 --for 2000d", "--for is '2000d'; it must be a time such as 30m, 12h or 7d, up to 366d")]
    [InlineData("ban add 192.0.2.1 --for soon", "--for is 'soon'; it must be a time such as 30m, 12h or 7d, up to 366d")]
    public async Task What_makes_no_sense_is_said(string line, string complaint)
    {
        await _run.RunAsync("domain add example.org");
        var refused = await _run.RunAsync(line);
        Assert.Equal(2, refused.ExitCode);
        Assert.StartsWith(complaint, refused.Error, StringComparison.Ordinal);
    }
}
