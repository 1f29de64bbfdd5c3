using System.Net;
using MailPipeline.Sasl;
using MailPipeline.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Mail.Tests;

/// <summary>Whom a token logs in, and what becomes of networks that send wrong ones, on both engines.</summary>
public abstract partial class StoreTests
{
    private static readonly LoginClient s_away = s_home with { Address = IPAddress.Parse("198.51.100.1") };

    private async Task<(CredentialVerifier Verifier, OpenIdIssuer Issuer, FakeTimeProvider Time)> IssuerAsync()
    {
        var time = new FakeTimeProvider();
        var issuer = await OpenIdIssuer.StartAsync(time);
        await Store.Directory.AddDomainAsync("example.org");
        await Store.Directory.AddAccountAsync("ann@example.org", PasswordHash.Create("right and long"));
        await Store.Directory.AddAccountAsync("bob@example.org", PasswordHash.Create("right and long"));
        await Store.Directory.AddAliasAsync("sales@example.org", "ann@example.org");
        var options = new LoginOptions { OpenId = new OpenIdOptions { Issuer = issuer.Address, Audiences = ["mail"], AllowLoopbackHttp = true } };
        var tokens = new TokenVerifier(options.OpenId, time, NullLogger<TokenVerifier>.Instance);
        return (new CredentialVerifier(Store.Directory, Store.Secrets, options, time, tokens), issuer, time);
    }

    [Fact]
    public async Task A_token_logs_in_its_user_who_has_an_account_and_nobody_else()
    {
        var (verifier, issuer, _) = await IssuerAsync();
        await using var _1 = issuer;
        var ann = issuer.Token("Ann@Example.org");
        foreach (var name in new[] { "", "ann@example.org", "ANN@example.org" })
            Assert.Equal("ann@example.org", (await verifier.VerifyAsync(new TokenClaim(name, ann), s_home)).Account?.Address);
        foreach (var (claim, reason) in new[]
        {
            (new TokenClaim("bob@example.org", ann), "the token is of another user"),
            (new TokenClaim("sales@example.org", ann), "the token is of another user"),
            (new TokenClaim("", issuer.Token("sales@example.org")), "the token is of a user without an account"),
            (new TokenClaim("", issuer.Token("carol@example.org")), "the token is of a user without an account"),
            (new TokenClaim("", issuer.Token("ann@example.net")), "the token is of a user without an account"),
            (new TokenClaim("", issuer.Token("' OR 1=1 --")), "the token is of a user without an account"),
            (new TokenClaim("ann@example.org", ""), "no token was given"),
            (new TokenClaim("ann@example.org", issuer.Token("ann@example.org", claims => claims["aud"] = "web")), "the token is for another audience"),
        })
        {
            Assert.Equal(new Verification(null, IsBusy: false) { Reason = reason }, await verifier.VerifyAsync(claim, s_home));
        }

        Assert.Equal(default, await verifier.VerifyAsync(new TokenClaim("", issuer.Token(new string('a', 400))), s_home));
    }

    /// <summary>Nobody guesses a signature: what is forged is in nobody's way.</summary>
    [Fact]
    public async Task Forged_tokens_pause_guesses_at_their_names_and_no_token_that_is_right()
    {
        var (verifier, issuer, _) = await IssuerAsync();
        await using var _1 = issuer;
        var forger = IssuerKey.Rsa("rsa-1");
        for (var i = 0; i < 20; i++)
            Assert.Equal((null, false), await AnswerAsync(issuer.Token("ann@example.org", key: forger)));
        Assert.True((await verifier.VerifyAsync("ann@example.org", "right and long", s_home)).IsBusy);
        Assert.NotNull((await verifier.VerifyAsync("ann@example.org", "right and long", s_away)).Account);
        Assert.NotNull((await AnswerAsync(issuer.Token("ann@example.org"))).Account);

        async Task<(Account? Account, bool IsBusy)> AnswerAsync(string token)
        {
            var answer = await verifier.VerifyAsync(new TokenClaim("ann@example.org", token), s_home);
            return (answer.Account, answer.IsBusy);
        }
    }

    [Fact]
    public async Task Tokens_that_the_issuer_signed_and_that_do_not_do_pause_nothing()
    {
        var (verifier, issuer, _) = await IssuerAsync();
        await using var _1 = issuer;
        var answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => Task.Run(async () => await verifier.VerifyAsync(
            new TokenClaim("ann@example.org", issuer.Token("ann@example.org", claims => claims["aud"] = $"{i}")), s_home))));
        Assert.All(answers, answer => Assert.Equal((null, false), (answer.Account, answer.IsBusy)));
        Assert.NotNull((await verifier.VerifyAsync("ann@example.org", "right and long", s_home)).Account);
    }

    [Fact]
    public async Task A_name_in_another_form_is_the_same_in_a_token()
    {
        var (verifier, issuer, _) = await IssuerAsync();
        await using var _1 = issuer;
        await Store.Directory.AddAccountAsync("j\u00F6rg@example.org", PasswordHash.Create("right and long"));
        Assert.NotNull((await verifier.VerifyAsync(new TokenClaim("jo\u0308rg@example.org", issuer.Token("j\u00F6rg@example.org")), s_home)).Account);
    }

    [Fact]
    public async Task An_issuer_that_is_away_costs_nobody_a_failure_and_passwords_go_on()
    {
        var (verifier, issuer, time) = await IssuerAsync();
        await using var _1 = issuer;
        await issuer.StopAsync();
        for (var i = 0; i < 10; i++)
            Assert.Equal(new Verification(null, IsBusy: true), await verifier.VerifyAsync(new TokenClaim("", issuer.Token("ann@example.org")), s_home));
        Assert.NotNull((await verifier.VerifyAsync("ann@example.org", "right and long", s_home)).Account);
        await issuer.StartAsync();
        time.Advance(OpenIdKeys.Pause);
        Assert.NotNull((await verifier.VerifyAsync(new TokenClaim("", issuer.Token("ann@example.org")), s_home)).Account);
    }
}
