namespace MailPipeline.Mail.Tests;

public sealed class PasswordHashTests
{
    [Fact]
    public void A_hash_is_of_its_password_alone_and_says_what_it_cost()
    {
        var hash = PasswordHash.Create("right and long");
        Assert.StartsWith("$argon2id$v=19$m=19456,t=2,p=1$", hash, StringComparison.Ordinal);
        Assert.NotEqual(hash, PasswordHash.Create("right and long"));
        Assert.True(PasswordHash.Verify("right and long", hash));
        Assert.False(PasswordHash.Verify("right and lonG", hash));
        Assert.False(PasswordHash.Verify("", hash));
        Assert.False(PasswordHash.IsOutdated(hash));
        Assert.True(PasswordHash.Verify("pässwörd", PasswordHash.Create("pässwörd")));
    }

    /// <summary>Made by another implementation (Konscious.Security.Cryptography, which fits the vectors of libargon2): "password" with the salt "somesaltsomesalt".</summary>
    [Fact]
    public void Hashes_of_others_with_other_costs_are_read_and_are_outdated()
    {
        const string hash = "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Gpj7qOY5RCXJvcMzqcdQqvgR3wcPX7SleI4c9NtXk6E";
        Assert.True(PasswordHash.Verify("password", hash));
        Assert.False(PasswordHash.Verify("Password", hash));
        Assert.True(PasswordHash.IsOutdated(hash));
    }

    [Theory]
    [InlineData("")]
    [InlineData("$")]
    [InlineData("hash")]
    [InlineData("$argon2id$v=19$m=64,t=2,p=1$AAAA$AAAA")]
    [InlineData("$argon2id$v=16$m=64,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("$argon2i$v=19$m=64,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("$argon2id$v=19$m=64,t=2,p=2$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("$argon2id$v=19$m=99999999,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("$argon2id$v=19$m=64,t=99999999,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("$argon2id$v=19$m=-1,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("pbkdf2-sha512$x$AAAA$AAAA")]
    [InlineData("pbkdf2-sha512$0$AAAA$AAAA")]
    [InlineData("pbkdf2-sha512$1$!$AAAA")]
    [InlineData("pbkdf2-sha512$1$AAAA$")]
    public void What_is_no_hash_fits_no_password(string text)
    {
        Assert.False(PasswordHash.Verify("password", text));
        Assert.True(PasswordHash.IsOutdated(text));
    }
}
