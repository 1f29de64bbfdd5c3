namespace MailPipeline.Commands.Tests;

/// <summary>What operators did, as it is shown.</summary>
public sealed class AuditCommandTests : IDisposable
{
    private readonly CommandRun _run = new();

    public void Dispose() => _run.Dispose();

    [Fact]
    public async Task Each_change_is_shown_with_who_made_it_on_which_machine()
    {
        await _run.RunAsync("domain add example.org --as joe");
        await _run.RunAsync("domain add example.org --as joe");
        await _run.RunAsync("account add ann@example.org --as jim", input: "s3cret-words\n");
        var shown = await _run.RunAsync("audit");
        Assert.Equal(0, shown.ExitCode);
        var lines = shown.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Matches(@"^time +operator +host +act +of +recipients$", lines[0].Trim());
        Assert.Matches($@"^20\S+Z +joe +{Environment.MachineName} +domain added +example.org$", lines[1].Trim());
        Assert.Matches($@"^20\S+Z +jim +{Environment.MachineName} +account added +ann@example.org, with postmaster@example.org -> ann@example.org$", lines[2].Trim());
        Assert.Equal(3, lines.Length);
    }

    [Fact]
    public async Task Some_of_them_can_be_asked_for_and_programs_read_them()
    {
        await _run.RunAsync("domain add example.org --as joe");
        await _run.RunAsync("domain add example.net --as joe");
        Assert.Matches(
            $$"""^{"status":"done","result":"audit","entries":\[{"at":"20[^"]+Z","operator":"joe","host":"{{Environment.MachineName}}","action":"domainAdded","subject":"example.net","recipients":0}\],"more":true}$""",
            (await _run.RunAsync("audit --json --limit 1 --since 1h")).Output.Trim());
        (await _run.RunAsync("audit --since 2999-01-01")).ShouldBeDone("Nothing was done in this time");
        (await _run.RunAsync("audit --since 2020-01-31T12:00:00Z --limit 1")).ShouldBeDone(
            (await _run.RunAsync("audit --limit 1")).Output);
    }

    [Theory]
    [InlineData("--since soon", "--since is 'soon'; it must be 12h, 7d, 2030-01-31 or 2030-01-31T12:00:00Z")]
    [InlineData("--limit 0", "--limit is '0'; it must be 1 to 100000")]
    public async Task What_is_no_time_and_no_number_is_said(string option, string complaint)
    {
        var refused = await _run.RunAsync($"audit {option}");
        Assert.Equal(2, refused.ExitCode);
        Assert.StartsWith(complaint, refused.Error, StringComparison.Ordinal);
    }
}
