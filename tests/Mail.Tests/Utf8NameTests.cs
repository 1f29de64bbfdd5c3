using System.Net;

namespace MailPipeline.Mail.Tests;

/// <summary>Names beyond ASCII, on both engines.</summary>
public abstract partial class StoreTests
{
    [Theory]
    [InlineData("jos\u00e9@b\u00fccher.example")]
    [InlineData("Jose\u0301@BU\u0308CHER.example")]
    [InlineData("JOS\u00c9@xn--bcher-kva.example")]
    [InlineData("jos\u00e9+news@b\u00fccher\u3002example")]
    public async Task A_name_is_found_however_its_characters_are_typed(string typed)
    {
        await Store.Directory.AddDomainAsync("B\u00fccher.example");
        await Store.Directory.AddAccountAsync("jos\u00e9@bu\u0308cher.example", "hash");
        await Store.Directory.AddAliasAsync("b\u00fcro@b\u00fccher.example", typed);
        var resolver = new AddressResolver(Store.Directory);

        foreach (var address in (string[])[typed, "bu\u0308ro@xn--bcher-kva.example"])
        {
            var end = Assert.Single((await resolver.ResolveAsync(address, default)).Ends);
            Assert.Equal(("xn--bcher-kva.example", "jos\u00e9@xn--bcher-kva.example"), (end.Domain, end.Account));
        }

        // By Mailbox, who asks for the account itself.
        var recipients = await Store.QueueAsync("body"u8.ToArray(), RecipientRoute.Local, typed);
        var stored = await Store.Maildrops.StoreAsync(9, new BatchCommand(9, "xn--bcher-kva.example", [.. recipients]), _ => "", default);
        Assert.Equal(AttemptOutcome.Delivered, Assert.Single(stored).Outcome);
        Assert.True(await Store.Directory.RemoveAliasAsync("b\u00fcro@b\u00fccher.example", "Jos\u00e9@b\u00fccher.example") || typed.Contains('+', StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("jose@b\u00fccher.example")]
    [InlineData("jos\u0435\u0301@b\u00fccher.example")]
    [InlineData("\uff4aos\u00e9@b\u00fccher.example")]
    [InlineData("jos\u00e9@bucher.example")]
    public async Task A_name_that_only_looks_the_same_is_another(string other)
    {
        await Store.Directory.AddDomainAsync("b\u00fccher.example");
        await Store.Directory.AddAccountAsync("jos\u00e9@b\u00fccher.example", "hash");

        Assert.Null(await Store.Directory.FindAccountAsync(other, default));
        Assert.Null(await new AddressResolver(Store.Directory).FindAccountAsync(other, default));
    }

    /// <summary>The forms of one name are one name to guess at: whoever fails in one of them waits in all.</summary>
    [Fact]
    public async Task Guesses_at_the_forms_of_one_name_pause_together()
    {
        await Store.Directory.AddDomainAsync("b\u00fccher.example");
        await Store.Directory.AddAccountAsync("jos\u00e9@b\u00fccher.example", PasswordHash.Create("right and long"));
        var verifier = VerifierOf(new LoginOptions());
        string[] forms = ["jos\u00e9@b\u00fccher.example", "jose\u0301@bu\u0308cher.example", "JOS\u00c9@xn--bcher-kva.example", "jos\u00e9@B\u00dcCHER.example"];
        for (var guess = 0; guess < 20; guess++)
            await verifier.VerifyAsync(forms[guess % forms.Length], "wrong", s_home);

        foreach (var form in forms)
            Assert.True((await verifier.VerifyAsync(form, "wrong", s_home)).IsBusy);
        var elsewhere = s_home with { Address = IPAddress.Parse("198.51.100.7") };
        Assert.Equal("jos\u00e9@xn--bcher-kva.example", (await verifier.VerifyAsync(forms[1], "right and long", elsewhere)).Account?.Address);
    }

    /// <summary>As a program stored them that did not know that two names are one.</summary>
    [Fact]
    public async Task Aliases_of_before_lead_on_and_can_be_removed()
    {
        await Store.Directory.AddDomainAsync("example.org");
        await Store.RunAsync("INSERT INTO aliases (address, target, created_at) VALUES ('list@example.org', 'zo\u00eb@caf\u00e9.example', 0)");

        var end = Assert.Single((await new AddressResolver(Store.Directory).ResolveAsync("list@example.org", default)).Ends);
        Assert.Equal(("zo\u00eb@xn--caf-dma.example", "xn--caf-dma.example"), (end.Address, end.Domain));
        Assert.True(await Store.Directory.RemoveAliasAsync("list@example.org", "zo\u00eb@caf\u00e9.example"));
        Assert.Empty(await Store.Directory.ListAliasesAsync(default));
    }

    [Fact]
    public async Task A_maildrop_knows_which_messages_are_in_UTF8()
    {
        await Store.Directory.AddAccountAsync("user@example.org", "hash");
        var account = (await Store.Directory.FindAccountAsync("user@example.org", default))!.Id;
        foreach (var header in (string[])["", "Return-Path: <jos\u00e9@example.net>\r\n", ""])
        {
            var recipients = await Store.QueueAsync("body"u8.ToArray(), RecipientRoute.Local, "user@example.org");
            await Store.Maildrops.StoreAsync(9, new BatchCommand(9, "example.org", [.. recipients]), _ => header, default);
        }

        var last = (await Store.Maildrops.ListAsync(account, default))[^1].MessageId;
        await Store.RunAsync($"UPDATE messages SET body = {(int)BodyType.SmtpUtf8} WHERE id = {last}");
        Assert.Equal([false, true, true], (await Store.Maildrops.ListAsync(account, default)).Select(message => message.HasUtf8Header));
    }
}
