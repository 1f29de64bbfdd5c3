using MailPipeline.Mail;
using MailPipeline.Storage;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Commands.Tests;

public sealed class DirectoryCommandTests : IDisposable
{
    private readonly CommandRun _run = new();

    public void Dispose() => _run.Dispose();

    [Fact]
    public async Task Domains_are_added_listed_and_removed()
    {
        (await _run.RunAsync("domain add Example.ORG")).ShouldBeDone("example.org added. Mail to postmaster@example.org is refused until its first account is there, or an alias or Ingress:Postmaster says who reads it");
        (await _run.RunAsync("domain add example.org")).ShouldNotBeDone("example.org is there already");
        (await _run.RunAsync("domain add example.net.")).ShouldBeDone("example.net added. Mail to postmaster@example.net is refused until its first account is there, or an alias or Ingress:Postmaster says who reads it");
        (await _run.RunAsync("domain list")).ShouldBeDone($"example.net\nexample.org");
        (await _run.RunAsync("domain remove example.net")).ShouldBeDone("example.net removed");
        (await _run.RunAsync("domain remove example.net")).ShouldNotBeDone("There is no domain example.net");
    }

    [Fact]
    public async Task A_domain_is_added_by_the_name_that_it_has_in_mail()
    {
        Assert.StartsWith("xn--bcher-kva.example (bücher.example) added", (await _run.RunAsync("domain add bücher.example")).Output, StringComparison.Ordinal);
        (await _run.RunAsync("domain add xn--bcher-kva.example")).ShouldNotBeDone("xn--bcher-kva.example is there already");
        (await _run.RunAsync("account add josé@bücher.example", input: "s3cret-words\n")).ShouldBeDone(
            "josé@xn--bcher-kva.example (josé@bücher.example) added, and reads what is written to postmaster@xn--bcher-kva.example");
        (await _run.RunAsync("account list")).ShouldBeDone("josé@xn--bcher-kva.example (josé@bücher.example)");
        (await _run.RunAsync("domain list")).ShouldBeDone("xn--bcher-kva.example (bücher.example)");
        Assert.Contains("\"domains\":[\"xn--bcher-kva.example\"]", (await _run.RunAsync("domain list --json")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_domain_may_stand_for_another()
    {
        (await _run.RunAsync("domain add example.net --alias-of example.org"))
            .ShouldNotBeDone("example.org is not a domain of ours; 'domain add example.org' makes it one");
        await _run.RunAsync("domain add example.org");
        (await _run.RunAsync("domain add Example.NET --alias-of Example.org"))
            .ShouldBeDone("example.net added: each of its addresses is the same one of example.org");
        (await _run.RunAsync("domain add example.com --alias-of example.net"))
            .ShouldNotBeDone("example.net is an alias of example.org, and has no addresses but its; add it to example.org");
        (await _run.RunAsync("account add ann@example.net", input: "s3cret-words\n"))
            .ShouldNotBeDone("example.net is an alias of example.org, and has no addresses but its; add it to example.org");
        (await _run.RunAsync("alias add ann@example.net ann@example.com"))
            .ShouldNotBeDone("example.net is an alias of example.org, and has no addresses but its; add it to example.org");
        (await _run.RunAsync("domain list")).ShouldBeDone("example.net (alias of example.org)\nexample.org");
        Assert.Contains(
            """{"status":"done","result":"domains","domains":["example.net","example.org"],"aliasDomains":[{"domain":"example.net","aliasOf":"example.org"}],"relayedDomains":[]}""",
            (await _run.RunAsync("domain list --json")).Output, StringComparison.Ordinal);
        await _run.RunAsync("account add ann@example.org", input: "s3cret-words\n");
        (await _run.RunAsync("alias add sales@example.org ann@example.net")).ShouldBeDone("sales@example.org -> ann@example.net added");
        await _run.RunAsync("account remove ann@example.org");
        (await _run.RunAsync("domain remove example.org")).ShouldNotBeDone("example.org has aliases; remove them first: 'domain remove example.net'");
        (await _run.RunAsync("domain remove example.net")).ShouldBeDone(
            "example.net removed. What led to it goes to whatever system receives its mail now; 'alias remove sales@example.org ann@example.net' ends that");
    }

    [Fact]
    public async Task A_domain_may_be_relayed_elsewhere()
    {
        (await _run.RunAsync("domain add example.org --relay mail.example.net")).ShouldBeDone(
            "example.org added: mail for it goes on to mail.example.net:25, whoever the recipient is. Who is not there is refused by that host, and its senders get a report from here; '--recipients listed' or '--recipients verify' refuses them at once");
        (await _run.RunAsync("domain add example.net --relay lmtp:/run/dovecot/lmtp --recipients listed")).ShouldBeDone(
            "example.net added: mail for it goes on to lmtp:/run/dovecot/lmtp, for recipients that an alias has; 'alias add ann@example.net ann@example.net' lists one");
        (await _run.RunAsync("domain add asked.example --relay mail.example.net:2525 --recipients verify")).ShouldBeDone(
            "asked.example added: mail for it goes on to mail.example.net:2525, which is asked about each recipient that no alias has before he is taken; Ingress:Checks:RelayRecipient says what happens while it is away");
        (await _run.RunAsync("domain add example.com --relay MX")).ShouldBeDone(
            "example.com added: mail for it goes on to its better MX, whoever the recipient is. Who is not there is refused by that host, and its senders get a report from here; '--recipients listed' or '--recipients verify' refuses them at once");
        (await _run.RunAsync("domain list")).ShouldBeDone(
            "asked.example (relayed to mail.example.net:2525, verified recipients)\nexample.com (relayed to mx)\nexample.net (relayed to lmtp:/run/dovecot/lmtp, listed recipients)\nexample.org (relayed to mail.example.net:25)");
        Assert.Contains(
            """{"domain":"asked.example","relay":"mail.example.net:2525","recipients":"verify"}""", (await _run.RunAsync("domain list --json")).Output, StringComparison.Ordinal);
        Assert.Contains(
            """{"domain":"example.net","relay":"lmtp:/run/dovecot/lmtp","recipients":"listed"}""", (await _run.RunAsync("domain list --json")).Output, StringComparison.Ordinal);
        (await _run.RunAsync("alias add ann@example.net ann@example.net")).ShouldBeDone("ann@example.net -> ann@example.net added");
        (await _run.RunAsync("account add ann@example.net", input: "s3cret-words\n"))
            .ShouldNotBeDone("The mail of example.net goes on to lmtp:/run/dovecot/lmtp, and the domain has no accounts here");
        (await _run.RunAsync("domain add other.example --alias-of example.net"))
            .ShouldNotBeDone("The mail of example.net goes on to lmtp:/run/dovecot/lmtp, and the domain has no accounts here");
        foreach (var bad in (string[])["--relay a..b", "--recipients listed", "--relay mx --alias-of example.org", "--relay mx --recipients some"])
            Assert.Equal(2, (await _run.RunAsync($"domain add bad.example {bad}")).ExitCode);
        (await _run.RunAsync("domain remove example.org")).ShouldBeDone("example.org removed");
    }

    [Fact]
    public async Task A_removed_domain_names_the_aliases_that_mean_something_else_now()
    {
        foreach (var domain in (string[])["example.org", "example.net"])
            await _run.RunAsync($"domain add {domain}");
        await _run.RunAsync("account add bob@example.org", input: "s3cret-words\n");
        foreach (var alias in (string[])["@example.net bob@example.org", "sales@example.net bob@example.org", "c1@example.org sales@example.net"])
            Assert.Equal(0, (await _run.RunAsync($"alias add {alias}")).ExitCode);

        (await _run.RunAsync("domain remove example.net")).ShouldBeDone(
            "example.net removed. Its aliases do nothing until it is ours again; 'alias remove @example.net bob@example.org', 'alias remove sales@example.net bob@example.org' removes them."
            + " What led to it goes to whatever system receives its mail now; 'alias remove c1@example.org sales@example.net' ends that");

        // And back: what went to another system is a name that is not there, now that it is ours.
        await _run.RunAsync("alias remove sales@example.net bob@example.org");
        await _run.RunAsync("alias remove @example.net bob@example.org");
        Assert.EndsWith(
            ". What led there leads nowhere now and is refused; it goes by 'alias remove c1@example.org sales@example.net'",
            (await _run.RunAsync("domain add example.net")).Output);
    }

    [Fact]
    public async Task An_account_s_password_comes_from_standard_input_when_that_is_no_terminal()
    {
        await _run.RunAsync("domain add example.org");

        (await _run.RunAsync("account add Ann@example.org", input: "s3cret-words\nanother line\n")).ShouldBeDone("ann@example.org added, and reads what is written to postmaster@example.org");

        Assert.True(PasswordHash.Verify("s3cret-words", await HashOfAsync("ann@example.org")));
    }

    [Fact]
    public async Task At_a_terminal_the_password_is_asked_for_twice()
    {
        await _run.RunAsync("domain add example.org");
        var typed = new Queue<string>(["one", "other", "same words", "same words"]);

        var differing = await _run.RunAsync("account add ann@example.org", prompt: _ => typed.Dequeue());
        Assert.Equal((2, "The two passwords differ. 'help' shows what there is."), (differing.ExitCode, differing.Error));
        (await _run.RunAsync("account add ann@example.org", prompt: _ => typed.Dequeue())).ShouldBeDone("ann@example.org added, and reads what is written to postmaster@example.org");

        Assert.True(PasswordHash.Verify("same words", await HashOfAsync("ann@example.org")));
    }

    [Fact]
    public async Task A_password_can_be_changed_but_not_be_empty_and_not_be_an_argument()
    {
        await _run.RunAsync("domain add example.org");
        await _run.RunAsync("account add ann@example.org", input: "old password\n");

        Assert.Equal(2, (await _run.RunAsync("account password ann@example.org", input: "\n")).ExitCode);
        var shorter = await _run.RunAsync("account password ann@example.org", input: "7 chars\n");
        Assert.Equal(
            (2, "The password has 7 characters; it must have at least 8 (Logins:MinPasswordLength). 'help' shows what there is."),
            (shorter.ExitCode, shorter.Error));
        Assert.Equal(2, (await _run.RunAsync("account password ann@example.org new")).ExitCode);
        Assert.True(PasswordHash.Verify("old password", await HashOfAsync("ann@example.org")));
        (await _run.RunAsync("account password ann@example.org", input: "new password\n")).ShouldBeDone("ann@example.org has its new password");
        Assert.True(PasswordHash.Verify("new password", await HashOfAsync("ann@example.org")));
        (await _run.RunAsync("account password bob@example.org", input: "new password\n")).ShouldNotBeDone("There is no account bob@example.org");
    }

    [Fact]
    public async Task An_account_belongs_to_a_domain_of_ours_and_keeps_it()
    {
        (await _run.RunAsync("account add ann@example.org", input: "some words\n"))
            .ShouldNotBeDone("example.org is not a domain of ours; 'domain add example.org' makes it one");
        await _run.RunAsync("domain add example.org");
        await _run.RunAsync("account add ann@example.org", input: "some words\n");

        (await _run.RunAsync("account list")).ShouldBeDone("ann@example.org");
        (await _run.RunAsync("domain remove example.org")).ShouldNotBeDone("example.org has an account; remove it first");
        (await _run.RunAsync("account remove ann@example.org")).ShouldBeDone(
            "ann@example.org removed, with its mail. What led there leads nowhere now and is refused; it goes by 'alias remove postmaster@example.org ann@example.org'");
        (await _run.RunAsync("account remove ann@example.org")).ShouldNotBeDone("There is no account ann@example.org");
        (await _run.RunAsync("domain remove example.org")).ShouldBeDone(
            "example.org removed. Its aliases do nothing until it is ours again; 'alias remove postmaster@example.org ann@example.org' removes them");
    }

    [Fact]
    public async Task The_first_account_of_a_domain_is_its_postmaster_until_somebody_else_is()
    {
        await _run.RunAsync("domain add example.org");
        await _run.RunAsync("account add ann@example.org", input: "s3cret-words\n");
        (await _run.RunAsync("account add bob@example.org", input: "s3cret-words\n")).ShouldBeDone("bob@example.org added");

        (await _run.RunAsync("alias list")).ShouldBeDone("postmaster@example.org -> ann@example.org");

        await _run.RunAsync("domain add example.net");
        await _run.RunAsync("alias add @example.net bob@example.org");
        (await _run.RunAsync("account add joe@example.net", input: "s3cret-words\n")).ShouldBeDone("joe@example.net added");
    }

    [Fact]
    public async Task An_alias_that_takes_an_account_s_mail_away_says_so()
    {
        await _run.RunAsync("domain add example.org");
        await _run.RunAsync("account add ann@example.org", input: "s3cret-words\n");

        (await _run.RunAsync("alias add ann@example.org bob@example.net")).ShouldBeDone(
            "ann@example.org -> bob@example.net added. The account ann@example.org gets no more mail itself; 'alias add ann@example.org ann@example.org' keeps a copy there");
        (await _run.RunAsync("alias add ann@example.org ann@example.org")).ShouldBeDone("ann@example.org -> ann@example.org added");
        (await _run.RunAsync("alias add ann@example.org joe@example.net")).ShouldBeDone("ann@example.org -> joe@example.net added");
    }

    [Fact]
    public async Task Aliases_may_stand_for_one_address_or_for_all_of_a_domain()
    {
        await _run.RunAsync("domain add example.org");

        (await _run.RunAsync("alias add sales@example.org ann@example.net")).ShouldBeDone("sales@example.org -> ann@example.net added");
        (await _run.RunAsync("alias add postmaster@example.org sales@example.org")).ShouldBeDone("postmaster@example.org -> sales@example.org added");
        await _run.RunAsync("account add ann@example.org", input: "s3cret-words\n");
        (await _run.RunAsync("alias add @example.org ann@example.org")).ShouldBeDone("@example.org -> ann@example.org added");
        (await _run.RunAsync("alias list")).ShouldBeDone(string.Join(
            '\n', "@example.org -> ann@example.org", "postmaster@example.org -> sales@example.org", "sales@example.org -> ann@example.net"));
        (await _run.RunAsync("alias remove @example.org ann@example.org")).ShouldBeDone("@example.org -> ann@example.org removed");
        (await _run.RunAsync("alias remove @example.org ann@example.org")).ShouldNotBeDone("There is no alias @example.org -> ann@example.org");
        (await _run.RunAsync("alias add ann@example.com bob@example.org"))
            .ShouldNotBeDone("example.com is not a domain of ours; 'domain add example.com' makes it one");
    }

    [Fact]
    public async Task An_alias_that_would_lead_to_nobody_is_not_made()
    {
        await _run.RunAsync("domain add example.org");
        await _run.RunAsync("account add ann@example.org", input: "s3cret-words\n");
        await _run.RunAsync("alias add sales@example.org ann@example.org");

        (await _run.RunAsync("alias add info@example.org gone@example.org")).ShouldNotBeDone(
            "info@example.org -> gone@example.org is not added: there is no gone@example.org; 'account add gone@example.org' or another alias makes it");
        (await _run.RunAsync("alias add info@example.org info@example.org")).ShouldNotBeDone(
            "info@example.org -> info@example.org is not added: mail would go in a circle, info@example.org -> info@example.org");
        (await _run.RunAsync("alias add ann@example.org sales@example.org")).ShouldNotBeDone(
            "ann@example.org -> sales@example.org is not added: mail would go in a circle, ann@example.org -> sales@example.org -> ann@example.org");

        // The next first account is the postmaster again, in the place of who is gone.
        await _run.RunAsync("account remove ann@example.org");
        (await _run.RunAsync("account add bob@example.org", input: "s3cret-words\n"))
            .ShouldBeDone("bob@example.org added, and reads what is written to postmaster@example.org");
        (await _run.RunAsync("alias list")).ShouldBeDone(
            $"postmaster@example.org -> bob@example.org\nsales@example.org -> ann@example.org");
    }

    /// <summary>A user name is typed at POP3 too, where it is one word of ASCII in a line of 255 octets.</summary>
    [Fact]
    public async Task An_account_is_called_what_every_protocol_can_carry()
    {
        await _run.RunAsync("domain add example.org");
        var longest = new string('a', 64);

        foreach (var name in (string[])["\"a@b\"", "\"a\\\"b\"", "j\u034frgen", longest + "a", new string('\u00fc', 33)])
        {
            var result = await _run.RunAsync($"account add {name}@example.org", input: "s3cret-words\n");
            Assert.Equal((2, ""), (result.ExitCode, result.Output));
            Assert.StartsWith($"'{name}@example.org' ", result.Error, StringComparison.Ordinal);
        }
        // Quotes that say nothing are none.
        (await _run.RunAsync("account add \"ann\"@example.org", input: "s3cret-words\n"))
            .ShouldBeDone("ann@example.org added, and reads what is written to postmaster@example.org");
        (await _run.RunAsync($"account add {longest}@example.org", input: "s3cret-words\n")).ShouldBeDone($"{longest}@example.org added");
        (await _run.RunAsync("alias add j\u00fcrgen@example.org ann@example.org")).ShouldBeDone("j\u00fcrgen@example.org -> ann@example.org added");
    }

    [Theory]
    [InlineData("domain add -example")]
    [InlineData("domain add [192.0.2.1]")]
    [InlineData("domain add ex..org")]
    [InlineData("account add ann")]
    [InlineData("account add ann@")]
    [InlineData("account add @example.org")]
    [InlineData("account add a<b@example.org")]
    [InlineData("alias add ann@example.org nobody")]
    [InlineData("message xyz")]
    [InlineData("message")]
    [InlineData("message hold")]
    [InlineData("message hold xyz")]
    [InlineData("message remove 1 2")]
    [InlineData("queue pauze")]
    [InlineData("queue pause now")]
    [InlineData("domain")]
    [InlineData("domain add")]
    [InlineData("domain add a b")]
    [InlineData("nonsense")]
    public async Task Bad_use_says_what_is_wanted_and_ends_with_2(string line)
    {
        var result = await _run.RunAsync(line);

        Assert.Equal(2, result.ExitCode);
        Assert.Equal("", result.Output);
        Assert.DoesNotContain('\n', result.Error);
        Assert.EndsWith("'help' shows what there is.", result.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("message 1E240")]
    [InlineData("queue")]
    [InlineData("domain list")]
    [InlineData("account list")]
    [InlineData("alias list")]
    [InlineData("domain remove example.org")]
    [InlineData("account remove ann@example.org")]
    [InlineData("account password ann@example.org")]
    [InlineData("alias remove ann@example.org bob@example.org")]
    public async Task Where_no_data_is_only_adding_makes_it(string line)
    {
        var nowhere = new CommandResult(
            2, "", $"--data is '{_run.DataFolder}', but there is no database {_run.DataFolder}/mail.db; the server makes it when it starts, and so does 'domain add'");

        Assert.Equal(nowhere, await _run.RunAsync(line, input: "secret\n"));
        Assert.False(Directory.Exists(_run.DataFolder));

        // A folder of something else.
        Directory.CreateDirectory(_run.DataFolder);
        Assert.Equal(nowhere, await _run.RunAsync(line, input: "secret\n"));
        Assert.Empty(Directory.GetFileSystemEntries(_run.DataFolder));

        await _run.RunAsync("domain add example.org");
        Assert.InRange((await _run.RunAsync(line, input: "secret\n")).ExitCode, 0, 1);
    }

    [Fact]
    public async Task A_slash_behind_the_folder_means_nothing()
    {
        Assert.StartsWith("--data is", (await _run.RunAsync("queue", settings: ["--data", _run.DataFolder + "/"])).Error, StringComparison.Ordinal);
        Assert.Equal(0, (await _run.RunAsync("domain add example.org", settings: ["--data", _run.DataFolder + "/"])).ExitCode);
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(_run.DataFolder));
    }

    [Fact]
    public async Task A_database_that_settings_name_and_that_is_not_there_is_not_made_by_reading()
    {
        var file = Path.Combine(_run.Folder, "elsewhere", "mail.db");

        var result = await _run.RunAsync("queue", settings: $"--ConnectionStrings:maildb=Data Source={file}");
        Assert.Equal(
            (2, $"ConnectionStrings:maildb names a file, but there is no database {file}; the server makes it when it starts, and so does 'domain add'"),
            (result.ExitCode, result.Error));
        Assert.Empty(Directory.GetFileSystemEntries(_run.Folder));
    }

    [Theory]
    [InlineData("bogus", "Unrecognized command or argument 'bogus'")]
    [InlineData("domain bogus", "Unrecognized command or argument 'bogus'. Usage: domain add DOMAIN | domain list | domain remove DOMAIN")]
    [InlineData("domain add", "Required argument missing for command: 'add'. Usage: domain add DOMAIN")]
    public async Task A_word_that_nobody_knows_is_named_and_one_that_is_missing_too(string line, string message) =>
        Assert.Equal(new CommandResult(2, "", $"{message}. 'help' shows what there is."), await _run.RunAsync(line));

    [Theory]
    [InlineData("queue --dat=other", "Unrecognized command or argument '--dat=other'")]
    [InlineData("queue --Storge:X=1", "There is no section of settings named 'Storge'; there are Storage, MailStore, Logins, ConnectionStrings, Dns")]
    [InlineData("queue --Ingress:MaxErrors=5", "There is no section of settings named 'Ingress'; there are Storage, MailStore, Logins, ConnectionStrings, Dns")]
    [InlineData("queue --Storage:X=1", "There is no setting 'Storage:X'; Storage has ConnectionString, InlineContentBytes")]
    [InlineData("queue --Storage:ClaimLease=5s", "There is no setting 'Storage:ClaimLease'; Storage has ConnectionString, InlineContentBytes")]
    [InlineData("queue --MailStore:X=1", "There is no setting 'MailStore:X'; MailStore has ClaimLease, MaildropLease, DetailSeparators, DirectoryCacheTime")]
    [InlineData("queue --MailStore:ClaimLease=-1", "MailStore:ClaimLease is '-1'; must be between")]
    [InlineData("domain list --MailStore:ClaimLease soon", "MailStore:ClaimLease is 'soon'; it must be a time such as 5m")]
    [InlineData("domain list --ConnectionStrings:maildb=x", "ConnectionStrings:maildb")]
    public async Task A_bad_setting_is_refused_by_name_whatever_the_command(string line, string message)
    {
        var result = await _run.RunAsync(line);

        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.StartsWith(message, result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', result.Error);
        Assert.False(Directory.Exists(_run.DataFolder));
    }

    [Fact]
    public async Task An_empty_store_has_an_empty_queue_and_knows_no_message()
    {
        await using (var services = _run.OpenServices())
            await services.GetRequiredService<MailDatabase>().OpenAsync(TestContext.Current.CancellationToken);

        (await _run.RunAsync("queue")).ShouldBeDone("0 recipients wait, 0 messages are not routed yet, 0 batches are being tried");
        (await _run.RunAsync("message 1E240")).ShouldNotBeDone("There is no message 1E240; finished ones are forgotten after a while");
    }

    [Theory]
    [InlineData("help", "domain", "account", "alias", "message <ID>", "queue", "version", "--data <DIR>", "--json")]
    [InlineData("--help", "domain", "queue")]
    [InlineData("help domain", "add <DOMAIN>", "list", "remove <DOMAIN>")]
    [InlineData("help account password", "ADDRESS")]
    [InlineData("message --help", "all <ID>", "hold <ID>", "release <ID>", "remove <ID>")]
    [InlineData("queue --help", "pause", "resume")]
    public async Task Help_names_the_commands(string line, params string[] words)
    {
        var result = await _run.RunAsync(line);

        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.All(words, word => Assert.Contains(word, result.Output, StringComparison.Ordinal));
    }

    private async Task<string> HashOfAsync(string address)
    {
        await using var services = _run.OpenServices();
        return (await services.GetRequiredService<MailDirectory>().FindAccountAsync(address, TestContext.Current.CancellationToken))!.Password.Hash;
    }
}
