namespace MailPipeline.Commands.Tests;

/// <summary>Tokens, by an operator.</summary>
public sealed class TokenCommandTests : IDisposable
{
    private readonly CommandRun _run = new();

    public void Dispose() => _run.Dispose();

    [Fact]
    public async Task A_token_is_made_shown_once_listed_and_removed()
    {
        await _run.RunAsync("domain add example.org");
        (await _run.RunAsync("token list")).ShouldBeDone("There are no tokens");
        var made = (await _run.RunAsync("token create ops --scope read,Operate --for 90d --as joe")).Output.Split('\n');
        Assert.Matches("^mpt_[A-Za-z0-9_-]{48}$", made[0]);
        Assert.Equal("This is the token ops, and it is shown this once; it is given as: Authorization: Bearer TOKEN", made[1]);
        (await _run.RunAsync("token create ops --scope read")).ShouldNotBeDone("There is a token ops, or there are 1000 others; 'token remove' makes room");
        Assert.Equal(0, (await _run.RunAsync("token create site --scope administer --of example.org")).ExitCode);
        var lines = (await _run.RunAsync("token list")).Output.Split('\n');
        Assert.Matches("^name +scopes +of +made +by +until +last used$", lines[0].Trim());
        Assert.Matches("^ops +read,operate +20[^ ]+Z +joe +20[^ ]+Z +never$", lines[1].Trim());
        Assert.Matches("^site +administer +example.org +20[^ ]+Z +[^ ]+ +never$", lines[2].Trim());
        Assert.DoesNotContain(made[0], string.Join('\n', lines), StringComparison.Ordinal);
        var (_, json) = await _run.RunJsonAsync("token create other --scope send");
        Assert.Equal(("tokenMade", "send"), (json.GetProperty("result").GetString(), json.GetProperty("scopes")[0].GetString()));
        Assert.StartsWith("mpt_", json.GetProperty("token").GetString(), StringComparison.Ordinal);
        (await _run.RunAsync("token remove ops")).ShouldBeDone("The token ops lets nobody in any more");
        (await _run.RunAsync("token remove ops")).ShouldNotBeDone("There is no token 'ops'; 'token list' shows those that there are");
        Assert.DoesNotContain(made[0], (await _run.RunAsync("audit")).Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("token create a/b --scope read", "'a/b' is no name of a token: up to 64 letters, digits, '-', '.' and '_'", 2)]
    [InlineData("token create a --scope mood", "--scope is 'mood'; it must be one or more of read, operate, administer, send, with commas between", 2)]
    [InlineData("token create a --scope 15", "--scope is '15'; it must be one or more of read, operate, administer, send, with commas between", 2)]
    [InlineData("token create a --scope none", "--scope is 'none'; it must be one or more of read, operate, administer, send, with commas between", 2)]
    [InlineData("token create a --scope read --for soon", "--for is 'soon'; it must be a time such as 5m, 1h30m, 2d or 00:05:00", 2)]
    [InlineData("token create a --scope read --for 9000d", "--for must be more than nothing, and up to 3660d", 2)]
    [InlineData("token create a --scope read --of other.example", "--of is 'other.example', which is no domain and no account of ours", 1)]
    [InlineData("token create a --scope operate --of example.org", "The scope operate goes without --of: mail on its way belongs to no domain of ours", 2)]
    [InlineData("token create a", "Option '--scope' is required", 2)]
    public async Task What_makes_no_sense_is_said(string line, string complaint, int exitCode)
    {
        await _run.RunAsync("domain add example.org");
        var refused = await _run.RunAsync(line);
        Assert.Equal(exitCode, refused.ExitCode);
        Assert.StartsWith(complaint, refused.Error, StringComparison.Ordinal);
    }
}
